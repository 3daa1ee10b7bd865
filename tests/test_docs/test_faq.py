"""What the pages quote is what the code says."""
import ast
import re

import pytest
from mmengine.config import Config

from mmvis_memcnp.cli.main import COMMANDS, tool_arguments

from .pages import PAGES, ROOT, text_of

HEADINGS = re.findall(r'^#### `(.+)`$', text_of('docs/faq.md'), re.M)


@pytest.fixture(scope='module')
def texts():
    """Every text of the code, its inserted values as the page writes them."""
    found = set()
    for folder in ('mmvis_memcnp', 'tools', 'demo'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(
                        node.value, str):
                    found.add(node.value)
                elif isinstance(node, ast.JoinedStr):
                    found.add(''.join(
                        part.value if isinstance(part, ast.Constant) else '…'
                        for part in node.values))
    return found


def pattern(heading: str) -> re.Pattern:
    """What a text of the code must look like; … is any insertion."""
    return re.compile('.*'.join(map(re.escape, heading.split('…'))), re.S)


@pytest.mark.parametrize('heading', HEADINGS)
def test_the_code_says_so(heading, texts):
    assert any(pattern(heading).search(text) for text in texts)


def test_there_are_messages_and_a_wrong_one_is_found(texts):
    assert len(HEADINGS) >= 25
    assert not any(pattern('There is no confog named …').search(t)
                   for t in texts)


def test_keys_of_the_table_are_keys_of_the_config():
    page = text_of('docs/coming_from.md')
    path, = set(re.findall(r'The keys are those of `(\S+)`', page))
    cfg = Config.fromfile(ROOT / path)
    section = page.split('## From detectron2')[1]
    cells = re.findall(r'^\|.+?\|(.+)\|$', section, re.M)
    keys = [key for cell in cells for key in re.findall(
        r'`((?:\w+\.)+\w+|load_from)`', cell)
        if not key.endswith(('.json', '.zip', '.py'))]
    assert len(keys) >= 15
    for key in keys:
        place = cfg
        for step in key.split('.'):
            assert isinstance(place, list) or step in place, key
            place = place[int(step) if step.isdigit() else step]


@pytest.mark.parametrize('folder', sorted(set(re.findall(
    r'`(configs/\w+)`', text_of('docs/coming_from.md')))))
def test_folders_of_configs(folder):
    assert (ROOT / folder).is_dir()


def test_commands_of_mmvis():
    """On any page: known commands, and names of configs that there are."""
    lines = [line for page in PAGES for line in re.findall(
        r'(?:^|`)(mmvis [^\n`]+)', text_of(page), re.M)]
    assert len(lines) >= 6
    for line in lines:
        _, command, *arguments = line.split()
        assert command in (*COMMANDS, 'models'), line
        if any(word.isupper() for word in arguments) or not arguments:
            continue  # words that stand for what the reader has
        if command in COMMANDS:
            tool_arguments(command, arguments)
