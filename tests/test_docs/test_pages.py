"""What the pages say about files, commands and configs holds."""
import argparse
import configparser
import importlib.util
import re
import shlex
import sys

import pytest
import yaml
from mmengine.config import Config

from tests.test_rooms import ROOMS

from .pages import PAGES, ROOT, blocks, commands, text_of

LINK = re.compile(r'(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)')
COMMANDS = sorted({line for page in PAGES for line in commands(page)})
#: Words of the pages that stand for what the reader has.
PLACEHOLDER = re.compile(r'[A-Z_0-9]{2,}(\.\w+)?$')


def anchors(text: str) -> set[str]:
    """Names that a link may point to: headings as GitHub turns them."""
    text = re.sub(r'```.*?```', '', text, flags=re.S)
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for title in re.findall(r'^#+ (.+)$', text, re.M):
        name = re.sub(r'[^\w\- ]', '', title.strip().lower())
        found.add(name.replace(' ', '-'))
    return found


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r'```.*?```|`[^`]+`', '', text_of(page), flags=re.S)
    for link in LINK.findall(text):
        if re.match(r'https?:|mailto:', link):
            continue
        path, _, anchor = link.partition('#')
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f'{page}: {link}'
        if anchor:
            assert anchor in anchors(target.read_text()), f'{page}: {link}'


def test_every_page_of_docs_is_in_the_index():
    """In docs/README.md, or, the tables of studies, in that of benchmarks."""
    folders = ('docs/', 'docs/benchmarks/')
    for page in PAGES:
        if page.startswith('docs/') and page != 'docs/README.md':
            assert any(
                f']({page.removeprefix(folder)})' in text_of(
                    f'{folder}README.md')
                for folder in folders if page.startswith(folder)), page


class _Parsed(Exception):
    """The parser has taken the command line."""


def parse(tool: str, args: list[str], monkeypatch) -> argparse.Namespace:
    """The options of a command, by the tool's own parser."""
    spec = importlib.util.spec_from_file_location('tool', ROOT / tool)
    module = importlib.util.module_from_spec(spec)
    kept = {}
    ask = argparse.ArgumentParser.parse_args

    def parse_args(self, *_, **__):
        kept['args'] = ask(self, args)
        raise _Parsed

    monkeypatch.setattr(sys, 'path',
                        [str((ROOT / tool).parent), *sys.path])
    monkeypatch.setattr(sys, 'argv', [tool, *args])
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_args)
    spec.loader.exec_module(module)
    take = getattr(module, 'parse_args', None) or module.main
    try:
        take() if take.__code__.co_argcount == 0 or take.__defaults__ \
            else take(args)
    except _Parsed:
        pass
    return kept['args']


@pytest.mark.parametrize('line', COMMANDS)
def test_tools_take_the_commands(line, monkeypatch):
    """Options are known, configs and shipped files exist, and so do the keys
    of --cfg-options."""
    tool, *args = shlex.split(re.sub(r'\$\([^)]*\)', 'LAST', line))
    assert (ROOT / tool).is_file()
    if args in (['-h'], []) or tool.startswith(('tests/', 'docs/')):
        return
    args = [word for word in args if word not in ('OPTIONS', )]
    options = parse(tool, args, monkeypatch)
    for word in args:
        if word.startswith(('configs/', 'demo/')) and '=' not in word:
            assert (ROOT / word).exists() or word.startswith(
                'demo/weights/out'), word
    config = getattr(options, 'config', None)
    if config is None or PLACEHOLDER.match(str(config)):
        return
    cfg = Config.fromfile(ROOT / config)
    for key in getattr(options, 'cfg_options', None) or {}:
        if key.endswith('.metainfo.classes'):
            key = key.removesuffix('.metainfo.classes')  # not of the form
        # mmengine's PretrainedInit has it, whether a config sets it or not.
        key = key.removesuffix('.prefix')
        place = cfg
        for step in key.split('.'):
            if place is None:  # the option switches a part on
                break
            assert isinstance(place, list) or step in place, \
                f'{key} is no key of {config}'
            place = place[int(step) if step.isdigit() else step]


@pytest.mark.parametrize('page', PAGES)
def test_python_is_python(page):
    for language, text in blocks(page, marked=False):
        if language == 'python':
            compile(text, page, 'exec')


def test_pictures_are_what_the_script_draws():
    spec = importlib.util.spec_from_file_location(
        'draw', ROOT / 'docs/images/draw_architecture.py')
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    for name, picture in draw.PICTURES.items():
        assert (draw.FOLDER / f'{name}.svg').read_text() == picture()


def test_pictures_name_what_there_is():
    code = '\n'.join(path.read_text() for path in
                     (ROOT / 'mmvis_memcnp').rglob('*.py'))
    defined = set(re.findall(r'^ *(?:class|def) (\w+)', code, re.M))
    named = {word for name in ('architecture', 'classes')
             for word in re.findall(
                 r'\b(?:[A-Z][a-z]+){2,}\b',
                 (ROOT / f'docs/images/{name}.svg').read_text())}
    assert len(named) > 10
    assert named - defined <= {'BaseModel', 'DejaVu', 'SipMask'}


def test_the_workflow_runs_the_oldest_and_the_newest_python():
    text = (ROOT / '.github/workflows/ci.yml').read_text()
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    named = re.findall(r'Python :: (3\.\d+)', setup['metadata']['classifiers'])
    versions = sorted(named, key=lambda v: int(v.split('.')[1]))
    job = yaml.safe_load(text)['jobs']['run']
    assert job['strategy']['matrix']['python'] == [versions[0], versions[-1]]
    assert setup['options']['python_requires'] == f'>={versions[0]}'
    assert job['steps'][-1]['run'] == '.ci/run'
    # The variable reaches the Makefile, which .ci/run calls.
    assert 'PYTHON' in job['env']
    assert 'PYTHON ?=' in (ROOT / 'Makefile').read_text()


def test_the_template_of_issues_asks_for_the_environment():
    form = yaml.safe_load(
        (ROOT / '.github/ISSUE_TEMPLATE/bug.yml').read_text())
    asked = [part['attributes']['label'] for part in form['body']]
    assert any('check_env.py' in label for label in asked)


def test_the_table_of_rooms_has_all_of_them_from_top_to_bottom():
    section = text_of('docs/design.md').split('## Rooms')[1].split('\n## ')[0]
    cells = re.findall(r'^\| (`.+?`) \|', section, re.M)
    named = [name.strip('/').removesuffix('.py').replace('/', '.')
             for cell in cells for name in re.findall(r'`(.+?)`', cell)]
    # those that only gather or count
    without = ('', 'registration', 'models', 'version')
    assert sorted(named) == sorted(set(ROOMS) - set(without))
    places = [ROOMS.index(name) for name in named]
    assert places == sorted(places)
