"""The pages of the documentation, their blocks and their commands."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: All Markdown files, by path from the root.
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ('*.md', 'docs/**/*.md', 'demo/**/*.md', 'configs/**/*.md',
                    'tests/**/*.md', '.github/**/*.md')
    for path in ROOT.glob(pattern))
BLOCK = re.compile(
    r'^( *)(?:<!-- (run) -->\n *)?```(bash|python)\n(.*?)^ *```', re.S | re.M)
_COMMAND = re.compile(
    r'python ((?:tools|demo|tests|docs)/[\w/]+\.py[^\n`#;|]*)')
_CODE = re.compile(r'```.*?```|`[^`]+`|(?<=\n\n)(?: {4}.*\n)+', re.S)


def text_of(page: str) -> str:
    """Content of a page."""
    return (ROOT / page).read_text()


def blocks(page: str, marked: bool = True) -> list[tuple[str, str]]:
    """Language and text of the bash and Python blocks of a page.

    Args:
        page (str): One of :data:`PAGES`.
        marked (bool): Whether to leave out those that are not marked by
            ``<!-- run -->``. Defaults to True.
    """
    return [(language, text) for _, mark, language, text
            in BLOCK.findall(text_of(page)) if mark or not marked]


def commands(page: str) -> list[str]:
    """Every ``python FILE ...`` of a page's code, one line each."""
    found = []
    for code in _CODE.findall(text_of(page)):
        code = code.replace('\\\n', ' ')
        if not code.startswith('```'):  # wrapped with the text
            code = ' '.join(code.split('\n'))
        found += [' '.join(line.split()) for line in _COMMAND.findall(code)]
    return found
