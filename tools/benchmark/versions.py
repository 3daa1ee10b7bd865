"""Install the oldest or the newest versions that are said to work; try them.

Reads the ranges of setup.cfg and requirements.txt, makes an environment of
their lower bounds or of the newest releases within them, and there runs tests,
a training step, a test and the demo of the small SipMask with MemCNP. Prints
a row of the table in docs/get_started.md; exit status 1 if something failed.

Examples:

    python tools/benchmark/versions.py oldest
    python tools/benchmark/versions.py newest --venv /tmp/newest --keep
"""
import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = 'sipmask-memcnp_r18_movingshapes'
CONFIG = f'configs/sipmask/{MODEL}.py'
WEIGHTS = f'demo/weights/{MODEL}.pth'
#: What looks most at the libraries below.
TESTS = ('tests/test_compat/test_checkpoint.py',
         'tests/test_compat/test_mmcv_ext.py', 'tests/test_results',
         'tests/test_models/test_backbones',
         'tests/test_engine/test_sharding.py',
         'tests/test_evaluation/test_metrics/test_vis_metric.py')
#: Named by mmengine, which also names an OpenCV of its own.
NEEDED = ('addict', 'pyyaml', 'rich', 'termcolor', 'yapf', 'platformdirs',
          'terminaltables', 'shapely', 'pygments', 'markdown-it-py', 'mdurl',
          'six', 'packaging', 'psutil', 'contourpy', 'cycler', 'fonttools',
          'kiwisolver', 'pillow', 'pyparsing', 'python-dateutil',
          'pytest-xdist', 'execnet', 'iniconfig', 'pluggy')
SHOWN = ('torch', 'numpy', 'mmengine', 'mmcv-lite', 'mmdet', 'scipy',
         'opencv-python-headless', 'pycocotools', 'matplotlib')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('which', choices=('oldest', 'newest'))
    parser.add_argument('--venv', type=Path, help='folder of the environment; '
                        'a torch that is in it is kept (default: a temporary '
                        'one)')
    parser.add_argument('--keep', action='store_true',
                        help='do not delete the environment')
    parser.add_argument('--only', nargs='+', metavar='STEP',
                        help='of tests, data, train, test, demo')
    return parser.parse_args()


def ranges() -> dict[str, str]:
    """Name of a package to its range, as setup.cfg and requirements.txt say.

    Raises:
        SystemExit: They say different things.
    """
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    said = (setup['options']['install_requires'] +
            setup['options.extras_require']['stack'] +
            '\n' + setup['options.extras_require']['dev'])
    found: dict[str, str] = {}
    lines = said.splitlines() + (
        ROOT / 'requirements.txt').read_text().splitlines()
    for line in lines:
        match = re.match(r'([\w-]+)([<>=].*)', line.strip())
        if match is None or '==' in line:
            continue
        name, span = match.groups()
        if found.setdefault(name, span) != span:
            sys.exit(f'{name}: setup.cfg says {found[name]}, '
                     f'requirements.txt {span}.')
    return found


def wanted(which: str, spans: dict[str, str]) -> dict[str, str]:
    """Requirement of pip for each package."""
    if which == 'newest':
        return {name: name + span for name, span in spans.items()}
    return {name: f'{name}==' + re.findall(r'>=([^,]+)', span)[0]
            for name, span in spans.items()}


def install(python: Path, which: str) -> None:
    """Bring the versions into an environment."""
    pip = [str(python), '-m', 'pip', 'install', '-q', '--upgrade-strategy',
           'eager', '--upgrade']
    found = wanted(which, ranges())
    torch = found.pop('torch')
    has_torch = subprocess.run(
        [str(python), '-c', 'import torch'], capture_output=True)
    if has_torch.returncode:
        subprocess.run([*pip, torch], check=True)
    # pkg_resources, which mmengine imports, is gone from 81 on.
    subprocess.run([*pip, '--no-deps', *found.values(), *NEEDED], check=True)


def versions(python: Path) -> dict[str, str]:
    """What is installed."""
    text = subprocess.run(
        [str(python), '-m', 'pip', 'list', '--format', 'freeze'],
        check=True, capture_output=True, text=True).stdout
    return dict(line.split('==') for line in text.split() if '==' in line)


def steps(folder: Path) -> dict[str, list[str]]:
    """Name of what is tried to its command, in order."""
    frames = folder / 'data'
    data = [f'{part}_dataloader.{option}' for part in ('train', 'val')
            for option in (
                'num_workers=0', 'persistent_workers=False',
                f'dataset.data_root={frames}/',
                'dataset.ann_file=instances.json',
                'dataset.data_prefix.img_path=JPEGImages')]
    data.append(f'val_evaluator.ann_file={frames}/instances.json')
    checkpoint = str(folder / 'run/iter_1.pth')
    return {
        'tests': ['-m', 'pytest', '-q', '-p', 'no:cacheprovider',
                  *TESTS],
        'data': ['tools/dataset_converters/moving_shapes.py', str(frames),
                 '--videos', '2', '--frames', '4', '--seed', '0',
                 '--level', 'easy'],
        'train': ['tools/train.py', CONFIG, '--work-dir',
                  str(folder / 'run'), '--cfg-options', *data,
                  'train_cfg.max_iters=1', 'train_dataloader.batch_size=2',
                  f'load_from={WEIGHTS}',
                  'default_hooks.checkpoint.interval=1'],
        'test': ['tools/test.py', CONFIG, checkpoint, '--work-dir',
                 str(folder / 'test'), '--cfg-options', *data],
        'demo': ['demo/video_demo.py', 'demo/moving_shapes.mp4', CONFIG,
                 WEIGHTS, '--out-dir', str(folder / 'demo')],
    }


def main() -> None:
    """Install, try, say."""
    args = parse_args()
    venv = args.venv or Path(tempfile.mkdtemp(prefix='mmvis_versions_'))
    python = venv.absolute() / 'bin/python'
    failed = []
    try:
        if not python.is_file():
            subprocess.run([sys.executable, '-m', 'venv', str(venv)],
                           check=True)
        install(python, args.which)
        env = dict(os.environ, PYTHONPATH=str(ROOT))
        with tempfile.TemporaryDirectory() as folder:
            for name, command in steps(Path(folder)).items():
                if args.only and name not in args.only:
                    continue
                done = subprocess.run(
                    [str(python), *command], cwd=ROOT, env=env, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                tail = '\n'.join(done.stdout.splitlines()[-25:])
                print(f'{name}: exit status {done.returncode}'
                      + (f'\n{tail}' if done.returncode or name == 'tests'
                         else ''), flush=True)
                failed += [name] if done.returncode else []
        found = versions(python)
        print(f'| {args.which} | Python '
              f'{sys.version_info.major}.{sys.version_info.minor} | '
              + ' | '.join(found.get(name, '-') for name in SHOWN)
              + f' | {"failed: " + ", ".join(failed) if failed else "works"}'
              ' |')
    finally:
        if not args.keep:
            shutil.rmtree(venv, ignore_errors=True)
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()
