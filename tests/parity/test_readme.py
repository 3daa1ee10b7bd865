"""README's numbers of reproduced arrays are those of the fixtures."""
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.parity.fixture import Fixture
from tests.parity.test_models import FIXTURES

ROOT = Path(__file__).resolve().parents[2]
#: First word of a row of "Official outputs": the fixtures behind its numbers
#: (shared/: its whole is not stored here), and the beginning of their keys if
#: others are counted elsewhere.
ROWS = {
    'SipMask-VIS': ['sipmask_r50_ytvis'],
    'SipMask': ['memcnp_r50_ytvis', 'memcnp_vit_ytvis', 'memcnp_units'],
    'IDOL': ['shared/idol_r50_ytvis19'],
    'SeqFormer': ['seqformer_r50_ytvis19', 'ifc_clip_matching'],
    'InstanceFormer': ['shared/instanceformer_r50_ytvis19',
                       'instanceformer_r50_ytvis19_nomem'],
    'MinVIS': ['mask2former_r50_ctvis', 'o2vis_trackless trackless/none_hm/'],
    'Mask2Former-VIS': ['shared/mask2former_video_r50'],
    'IFR': ['ifr_decoder_reading'],
    'CTVIS': ['shared/ctvis_r50_ytvis19'],
    'DVIS-DAQ': ['shared/dvis_daq_r50_ytvis', 'dvis_refiner_r50 daq/'],
    'VidEoMT': ['videomt_reading'],
    # lom_hm, lom_ohm, ...: all but MinVIS's
    'O2VIS': ['o2vis_lomm_tracker',
              r'o2vis_trackless trackless/(?!none_hm)', 'dvis_tracker_r50',
              'dvis_refiner_r50 dvispp/'],
    'backbones': ['swin_d2', 'vit_adapter_small']}
#: Numbers of a cell of "Systems": places in the row(s) of "Official outputs".
CELLS = {
    'SipMask-VIS': [('SipMask-VIS', 0, 1), ('SipMask', 0, 3)],
    'DVIS-DAQ': [('DVIS-DAQ', 0, 1), ('DVIS-DAQ', 1, 2)],
    'O2VIS': [('O2VIS', 0, 3), ('O2VIS', 3, 4)]}
#: Arrays that copy a mistake, in fixtures that only the shared folder has.
SHARED = {'ctvis_r50_ytvis19': 4}


def table(heading: str) -> dict[str, list[str]]:
    """Cells of the first table below a heading, by the first word."""
    text = (ROOT / 'README.md').read_text().split(f'\n{heading}\n')[1]
    lines = re.search(r'(?:^\|.*\n)+', text, re.M)[0].splitlines()[2:]
    rows = [[x.strip() for x in line.strip('|').split('|')] for line in lines]
    found = {re.match(r'[\w-]+', row[0])[0]: row for row in rows}
    assert len(found) == len(rows)
    return found


def agreeing(row: list[str]) -> list[tuple[int, int]]:
    """The pairs "N of M" of a row of "Official outputs"."""
    return [(int(a), int(b))
            for a, b in re.findall(r'(\d+) of (\d+)', row[1])]


@pytest.mark.parametrize('system', ROWS)
def test_rows_count_the_arrays_of_the_fixtures(system, request):
    expected = []
    for text in ROWS[system]:
        path, _, start = text.partition(' ')
        name = path.removeprefix('shared/')
        folder = ROOT / 'tests/data/parity' / name
        if path != name:
            folder = request.getfixturevalue('shared_dir') / 'parity' / name
            if not folder.is_dir():
                pytest.skip(f'needs {name}')
        count = sum(bool(re.match(start, e.key))
                    for e in Fixture(folder).entries())
        mistakes = FIXTURES.get(name, (0, SHARED.get(name, 0)))[1]
        if start == 'daq/':  # that of the refiner is in the half of DVIS++
            mistakes = 0
        expected.append((count - mistakes, count))
    assert agreeing(table('### Official outputs')[system]) == expected


def test_systems_have_the_sums_of_their_rows():
    official = table('### Official outputs')
    assert official.keys() == ROWS.keys()
    systems = table('## Systems')
    assert systems.keys() == ROWS.keys() - {'SipMask', 'backbones'}
    for name, cells in systems.items():
        places = CELLS.get(name, [(name, 0, None)])
        assert [int(x) for x in re.findall(r'\d+', cells[-1])] == [
            sum(agree for agree, _ in agreeing(official[row])[begin:end])
            for row, begin, end in places], name


def test_every_fixture_is_counted_once():
    named = Counter(text for texts in ROWS.values() for text in texts)
    assert set(named.values()) == {1}
    stored = {p.name for p in (ROOT / 'tests/data/parity').iterdir()}
    counted = {text.split()[0].removeprefix('shared/') for text in named}
    # parts of fixtures whose whole is in the shared folder
    assert stored - counted == {
        'ctvis_r50_video', 'ctvis_tracker', 'mask2former_vis_r50_video'}
