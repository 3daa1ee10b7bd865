"""Every tool that writes says at once where it may not, and leaves it."""
import ast
import os
from pathlib import Path

import pytest

from tests.fakes.programs import run_program

ROOT = Path(__file__).resolve().parents[2]
FIGURE = ('config.py', 'model.pth', 'video', '--out')
# Arguments up to the output, which comes last; nothing of it exists, so that
# an answer about the output comes before the work.
TOOLS = {
    'demo/make_clip.py': (),
    'tools/analysis_tools/colour_baseline.py': ('a.json', 'images', '--out'),
    'tools/analysis_tools/memcnp_report.py': (
        'config.py', 'model.pth', '--mean-context'),
    'tools/analysis_tools/plot_training.py': ('run', '--out'),
    'tools/analysis_tools/preview_clips.py': ('config.py', '--out'),
    'tools/analysis_tools/report.py': ('a.json', '--out'),
    'tools/analysis_tools/visualize_detections.py': FIGURE,
    'tools/analysis_tools/visualize_memory.py': FIGURE,
    'tools/analysis_tools/visualize_queries.py': ('points', *FIGURE),
    'tools/analysis_tools/visualize_rows.py': ('memory', *FIGURE),
    'tools/analysis_tools/visualize_results.py': ('a.json', 'images',
                                                  '--out'),
    'tools/analysis_tools/visualize_selection.py': (
        'config.py', '--ann-file', 'a.json', '--img-prefix', 'images',
        '--out'),
    'tools/analysis_tools/visualize_uncertainty.py': FIGURE,
    'tools/benchmark/pipeline_speed.py': ('checkout', '--json'),
    'tools/benchmark/training_speed.py': ('checkout', '--json'),
    'tools/benchmark/pretrain_backbone.py': ('config.py', 'data'),
    'tools/dataset_converters/coco_video2ytvis.py': ('images', 'a.json'),
    'tools/dataset_converters/cvat2ytvis.py': ('images', 'a.xml'),
    'tools/dataset_converters/davis2ytvis.py': ('images', 'masks'),
    'tools/dataset_converters/labelme2ytvis.py': ('images', 'jsons'),
    'tools/dataset_converters/mots2ytvis.py': ('images', 'a.txt'),
    'tools/dataset_converters/moving_shapes.py': (),
    'tools/dataset_converters/split_ytvis.py': (
        'a.json', '--dev', 'd.json', '--num-dev', '1', '--train'),
    'tools/dataset_converters/subset_ytvis.py': (
        'a.json', '--class-map', 'ovis'),
    'tools/deployment/export_onnx.py': ('config.py', 'model.pth'),
    'tools/model_converters/convert_checkpoint.py': (
        '--config', 'config.py', 'model.pth'),
    'tools/model_converters/publish_model.py': ('model.pth', ),
}
CASES = {
    'the file of a user': ('mine.png', 'was not made by this package'),
    'a folder of the user': ('folder.png', ' a folder|not made by this'),
    'below a file': ('mine.png/a.png', 'mine.png is a file'),
    'the system': ('/proc/a.png', '/proc takes no new files'),
}


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('tool', TOOLS)
def test_what_is_there_stays(tool, case, tmp_path):
    (tmp_path / 'folder.png').mkdir()
    for name in ('mine.png', 'folder.png/mine.png'):
        (tmp_path / name).write_text('mine')
    out, said = CASES[case]
    if 'moving_shapes' in tool and case == 'the file of a user':
        said = 'mine.png is a file'
    done = run_program(ROOT / tool, *TOOLS[tool], out, '--overwrite',
                       cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith('Error: ')
    assert any(part in last for part in said.split('|')), last
    assert sorted(os.listdir(tmp_path)) == ['folder.png', 'mine.png']
    for name in ('mine.png', 'folder.png/mine.png'):
        assert (tmp_path / name).read_text() == 'mine'


# Tested in files of their own.
APART = {'demo/video_demo.py', 'tools/test.py',
         'tools/analysis_tools/calibration.py',
         'tools/benchmark/overfit_clip.py',
         'tools/benchmark/overfit_shapes.py'}
# What writes without --overwrite, and why that loses nothing.
WITHOUT = {
    'tools/benchmark/absence.py': 'rows of its own table; checked logs',
    'tools/benchmark/after_network.py': 'new_file, a new file only',
    'tools/benchmark/evaluator_speed.py': 'cases in a temporary folder',
    'tools/benchmark/fuzz_jsons.py': 'cases in a temporary folder; its log',
    'tools/benchmark/gpu_check.py': 'new_file; logs in a new folder',
    'tools/benchmark/gpu_checks.py': 'a log in the folder of gpu_check.py',
    'tools/benchmark/speed.py': 'new_file, a new file only',
    'tools/benchmark/study_report.py': 'the report of a study, made again',
    'tools/benchmark/study_runner.py': 'the folder of a study, gone on with',
    'tools/benchmark/study_table.py': 'the table of a study, rows added',
    'tools/benchmark/training_work.py': 'a config in a temporary folder',
}
WRITERS = {'write_text', 'write_bytes', 'imwrite', 'savefig', 'VideoWriter',
           'new_file', 'new_folder', 'replacing', 'copyfile', 'copytree'}


def writes(call):
    """Whether a call makes a file, or replaces one."""
    name = getattr(call.func, 'attr', getattr(call.func, 'id', None))
    owner = getattr(getattr(call.func, 'value', None), 'id', None)
    if name == 'open':
        modes = [v.value for v in (
            *call.args, *(k.value for k in call.keywords if k.arg == 'mode'))
            if isinstance(v, ast.Constant)]
        return any(set(str(m)) <= set('rwaxbt+') and set(str(m)) & set('wax+')
                   for m in modes)
    return name in WRITERS or (name, owner) in {
        ('save', 'torch'), ('save', 'np'), ('dump', 'json'), ('dump', 'yaml')}


@pytest.mark.parametrize('code, expected', [
    ("path.write_text('a')", True), ("open(p, 'w')", True),
    ("p.open(mode='ab')", True), ("p.open('r+')", True),
    ('torch.save(x, p)', True), ('json.dump(x, f)', True),
    ("open(p)", False), ("open(p, 'rb')", False), ('json.dumps(x)', False),
    ("open('data')", False),
])
def test_writers_are_known(code, expected):
    assert writes(ast.parse(code).body[0].value) == expected


def test_all_tools_that_write_are_here():
    """By their source: what writes is tried above, apart, or excepted."""
    found, offer = set(), set()
    for path in (*ROOT.glob('tools/**/*.py'), *ROOT.glob('demo/*.py')):
        name, text = str(path.relative_to(ROOT)), path.read_text()
        if any(isinstance(node, ast.Call) and writes(node)
               for node in ast.walk(ast.parse(text))):
            found.add(name)
        if any(f'{call}(' in text for call in (
                'add_overwrite_option', 'add_picture_options',
                'run_conversion')):
            offer.add(name)
    assert offer == {*TOOLS, *APART}
    assert found - offer == {*WITHOUT}


@pytest.mark.parametrize('tool', [t for t in TOOLS if 'visualize' in t]
                         + ['tools/analysis_tools/plot_training.py'])
def test_suffixes_are_checked_first(tool, tmp_path):
    done = run_program(ROOT / tool, *TOOLS[tool], 'a.nonsense', cwd=tmp_path)
    said = done.stderr + str(done.returncode)  # some end with the sentence
    assert done.returncode and 'a.nonsense cannot be ' in said
    assert 'the suffix .png' in said
