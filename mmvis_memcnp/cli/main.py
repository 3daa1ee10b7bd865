"""The command ``mmvis``: the tools of the package under one name."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ..errors import UserError
from ..version import __version__
from .run import run_tool
from .shipped import (
    CONFIG_SUFFIXES,
    config_paths,
    find_config,
    shipped_root,
    shipped_weights,
)
from .signals import answer_early

#: Tool of each command, how it is called, and what it does.
COMMANDS = {
    'demo': ('demo/video_demo.py',
             'VIDEO --model CONFIG [--checkpoint FILE] [OPTIONS]',
             'find, segment and follow the objects of a video'),
    'train': ('tools/train.py', 'CONFIG [OPTIONS]', 'train a model'),
    'test': ('tools/test.py', 'CONFIG CHECKPOINT [OPTIONS]',
             'score a model, or write its results for a server'),
    'eval': ('tools/analysis_tools/eval_json.py',
             'GT.json RESULTS.json [OPTIONS]', 'score a results json'),
    'report': ('tools/analysis_tools/report.py',
               'RESULTS.json [--gt GT.json] [--frames PLACE] [OPTIONS]',
               'make a page to look at results'),
    'convert': ('tools/model_converters/convert_checkpoint.py',
                'OFFICIAL.pth OUT.pth --config CONFIG [OPTIONS]',
                'convert a checkpoint of a released code'),
}
_MODELS = 'models'


def usage() -> str:
    """What ``mmvis --help`` prints."""
    lines = ['usage: mmvis COMMAND ...', '',
             'Video instance segmentation with MemCNP.', '']
    for name, (_, how, what) in COMMANDS.items():
        lines += [f'  mmvis {name} {how}', f'      {what}']
    lines += [
        f'  mmvis {_MODELS} [WORD ...]',
        '      list the configs whose names have these words', '',
        'CONFIG is a file or the name of a config, such as '
        'idol-memcnp_r50_ovis.',
        'mmvis COMMAND --help lists the options of a command.']
    return '\n'.join(lines)


def tool_arguments(command: str, arguments: Sequence[str]) -> list[str]:
    """Arguments of a tool, where names of configs have become paths.

    Args:
        command: a key of :data:`COMMANDS`.
        arguments: what follows it on the command line.

    Raises:
        UserError: if a config is unknown or missing, or not before the
            options, or the demo lacks weights.
    """
    found = list(arguments)
    if {'-h', '--help'} & set(found):
        return found
    if command == 'demo':
        return _demo_arguments(found)
    if command in ('train', 'test') and found:
        if found[0][:1] != '-':
            found[0] = str(find_config(found[0]))
        elif not any(word.endswith(CONFIG_SUFFIXES) and Path(word).is_file()
                     for word in found):
            # Which word is the value of an option is the tool's to know.
            raise UserError(f'mmvis {command} needs the config first: mmvis '
                            f'{command} {COMMANDS[command][1]}.')
    if command == 'convert':
        for i, word in enumerate(found):
            if word.startswith('--config='):
                found[i] = f'--config={find_config(word[9:])}'
            elif word == '--config' and i + 1 < len(found):
                found[i + 1] = str(find_config(found[i + 1]))
    return found


def _demo_arguments(arguments: list[str]) -> list[str]:
    parser = argparse.ArgumentParser('mmvis demo', allow_abbrev=False,
                                     add_help=False)
    parser.add_argument('--model', metavar='CONFIG')
    parser.add_argument('--checkpoint', metavar='FILE')
    ours, rest = parser.parse_known_args(arguments)
    if not rest or rest[0].startswith('-'):
        raise UserError('mmvis demo needs the video first: mmvis demo '
                        f'{COMMANDS["demo"][1]}.')
    if ours.model is None:
        raise UserError('mmvis demo needs --model, a config or its name, '
                        'such as sipmask-memcnp_r18_movingshapes, whose '
                        'weights come with the package.')
    config = find_config(ours.model)
    checkpoint = ours.checkpoint or shipped_weights(config)
    if checkpoint is None:
        raise UserError(f'No weights of {config.stem} come with the package: '
                        'give --checkpoint (docs/model_zoo.md says where '
                        'official ones are).')
    return [rest[0], str(config), str(checkpoint), *rest[1:]]


def list_models(words: Sequence[str]) -> None:
    """Print the names of configs that have all these words.

    Raises:
        UserError: if there is none.
    """
    names = [name for name in config_paths()
             if all(word.lower() in name for word in words)]
    if not names:
        find_config('-'.join(words))  # says the nearest names
    for name in names:
        print(name)


def run(arguments: Sequence[str]) -> None:
    """Run a command.

    Raises:
        UserError: if there is no such command.
    """
    command, rest = arguments[0], list(arguments[1:])
    if command == _MODELS:
        if {'-h', '--help'} & set(rest):
            print(usage())
        else:
            list_models(rest)
        return
    if command not in COMMANDS:
        raise UserError(f'There is no command {command[:40]!r}; the commands '
                        f'are {", ".join([*COMMANDS, _MODELS])}.')
    tool = shipped_root() / COMMANDS[command][0]
    if command == 'demo' and {'-h', '--help'} & set(rest):
        print(f'usage: mmvis demo {COMMANDS["demo"][1]}\n\nThe tool behind '
              'it, which takes config and checkpoint by place:\n')
    sys.argv = [f'mmvis {command}', *tool_arguments(command, rest)]
    _run_script(tool)


def _run_script(path: Path) -> None:
    """Do what ``python path`` does, but with the arguments as they are.

    ``runpy`` would call the program by its path in messages.
    """
    module = ModuleType('__main__')
    module.__file__ = str(path)
    sys.modules['__main__'] = module
    sys.path.insert(0, str(path.parent))
    code = compile(path.read_text(encoding='utf-8'), str(path), 'exec')
    exec(code, vars(module))


def main() -> None:
    """The console command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ('-h', '--help'):
        print(usage())
    elif arguments[0] in ('-V', '--version'):
        print(__version__)
    else:
        answer_early()
        run_tool(lambda: run(arguments))


if __name__ == '__main__':
    main()
