"""Tools that need no model load neither torch nor mmdet."""
import subprocess
import sys
from pathlib import Path

import pytest

from mmvis_memcnp import LIGHT

ROOT = Path(__file__).parents[1]


def run_python(code):
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True,
                          capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_light_modules_load_no_torch():
    modules = [f'mmvis_memcnp.{name}' for name in LIGHT]
    assert run_python(
        f'import sys, {", ".join(modules)}\n'
        'print([m for m in ("torch", "mmdet", "mmcv", "mmengine")'
        ' if m in sys.modules])') == ['[]']


def test_tools_without_a_model_load_no_torch():
    tools = sorted(map(str, ROOT.glob(
        'tools/dataset_converters/*2ytvis.py')))
    assert len(tools) == 5
    tools += [str(ROOT / f'tools/{name}.py') for name in (
        'dataset_converters/validate_ytvis', 'dataset_converters/split_ytvis',
        'dataset_converters/subset_ytvis', 'dataset_converters/moving_shapes',
        'analysis_tools/eval_json', 'analysis_tools/report',
        'analysis_tools/visualize_results', 'analysis_tools/plot_training',
        'analysis_tools/colour_baseline')]
    assert run_python(
        f'import runpy, sys\nfor tool in {tools}:\n'
        '    runpy.run_path(tool)\n'
        'print([m for m in ("torch", "mmdet", "mmcv", "mmengine")'
        ' if m in sys.modules])') == ['[]']


def test_all_is_registered_once_it_may_be_needed():
    """A config's custom_imports comes too late to be the first import."""
    said = run_python(
        'import mmvis_memcnp.results.rle, sys\n'
        'assert "mmengine" not in sys.modules\n'
        'from mmengine.config import Config\n'
        'Config.fromfile("configs/_base_/default_runtime.py")\n'
        'import mmengine, mmvis_memcnp\n'
        'from mmdet.registry import DATASETS, MODELS, TASK_UTILS\n'
        'from mmvis_memcnp.models.vis.minvis import MinVIS as here\n'
        'assert MODELS.get("MinVIS") is here\n'
        'assert mmvis_memcnp.datasets.VISDataset is '
        'DATASETS.get("VISDataset")\n'
        'assert TASK_UTILS.get("TopPairs") and TASK_UTILS.get("ShortTracks")\n'
        'specs = [sys.modules[n].__spec__ for n in ("mmengine", here'
        '.__module__)]\n'
        'assert all(s.loader.path == s.origin for s in specs)\n'
        'print("fine")')
    assert said[-1] == 'fine'


def first_imports(names):
    """Those of the modules that cannot be imported first, and what it said.
    """
    done = subprocess.run(
        [sys.executable, '-m', 'tests.fakes.first_imports', *names], cwd=ROOT,
        text=True, capture_output=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split(), done.stderr[-3000:]


def test_modules_in_light_packages_can_be_first():
    """Their import registers everything, them among it."""
    failed, said = first_imports([
        'mmvis_memcnp.datasets.vis_dataset',
        'mmvis_memcnp.results.ranking',
        'mmvis_memcnp.models',
        # of a light package, then from the middle of the other part
        'mmvis_memcnp.results.rle,mmvis_memcnp.models.vis.minvis'])
    assert not failed, said


@pytest.mark.slow
def test_every_module_can_be_first():
    modules = ['.'.join(path.relative_to(ROOT).with_suffix('').parts)
               for path in sorted(ROOT.glob('mmvis_memcnp/**/*.py'))]
    assert len(modules) > 300
    failed, said = first_imports(
        [name.removesuffix('.__init__') for name in modules])
    assert not failed, said
