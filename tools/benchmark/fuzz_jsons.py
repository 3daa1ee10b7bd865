"""Give the json tools thousands of broken files.

A small ground truth and its results are changed at random: types, ranges,
run-length codes, structure, bytes. Each pair goes to eval_json.py, and each
changed ground truth to validate_ytvis.py, in a process with 1 GiB and 10 s.
A case fails if

- it ends with a traceback, a signal, or anything but a result or a sentence;
- the scores are not those that a slow reading of the same file, written
  without any code of the package, gives (so that nothing is left out or
  changed without a word);
- the validator passes a ground truth that scoring refuses.

A case is a seed. With --log every case is a line of a file as soon as it is
done, and the same command goes on where an earlier one was stopped, unless the
code has changed since.

With --together two processes score a case, and read the ground truth together
however small it is, as they do large ones.

Example:

    python tools/benchmark/fuzz_jsons.py --count 10000 --seed 0 --log fuzz.log
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import copy
import gc
import gzip
import hashlib
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.optimize  # noqa: F401  before the processes are forked
from fuzz_reference import reference_scores
from pycocotools import mask as mask_utils

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.evaluation.functional import ground_truth
from mmvis_memcnp.results import compiled
from mmvis_memcnp.results.files import check_place

FOLDER = Path(__file__).resolve().parents[1]
TESTED = ('analysis_tools/eval_json.py',
          'dataset_converters/validate_ytvis.py')
SIZE, FRAMES, SECONDS, MEMORY = (12, 16), 4, 10, 1 << 30
ODD = [None, True, False, 0, 1, -1, 2, 1.5, -0., 1e308, float('nan'),
       float('inf'), 1 << 31, 1 << 63, 10**30, '', 'x', '7', 'é☃', [], {},
       [None], [[]], [1, 2], {'id': 1}, {'size': [12, 16], 'counts': 'X6'}]


def base_pair(rng: random.Random) -> tuple[dict, list]:
    """A good ground truth with every form of masks, and its results."""
    noise = np.random.default_rng(rng.randrange(1 << 30))

    def box() -> np.ndarray:
        mask = np.zeros(SIZE, np.uint8)
        y, x = noise.integers(0, 8, 2)
        mask[y:y + 5, x:x + 7] = 1
        mask ^= noise.random(SIZE) < .05
        return mask

    def text(mask: np.ndarray) -> dict:
        code = mask_utils.encode(np.asfortranarray(mask))
        return dict(size=[*SIZE], counts=code['counts'].decode())

    def runs(mask: np.ndarray) -> dict:
        flat = mask.ravel(order='F')
        edges = np.flatnonzero(np.diff(flat, prepend=0))
        return dict(size=[*SIZE], counts=np.diff(
            edges, prepend=0, append=flat.size).tolist())

    def polygon(_: np.ndarray) -> list:
        x, y = noise.integers(0, 8, 2).tolist()
        return [[x, y, x + 6, y, x + 6, y + 4.5, x, y + 4]]

    truth, results = [], []
    for video in (3, 5):
        for category, form in ((1, text), (1, runs), (2, polygon)):
            masks = [box() for _ in range(FRAMES)]
            codes: list = [form(m) for m in masks]
            codes[rng.randrange(FRAMES)] = None
            truth.append(dict(
                id=len(truth) + 1, video_id=video, category_id=category,
                iscrowd=int(len(truth) == 4), segmentations=codes,
                areas=[c and 35 for c in codes],
                bboxes=[c and [1, 1, 7, 5] for c in codes]))
            for _ in range(2):
                near = [m ^ (noise.random(SIZE) < .1) for m in masks]
                results.append(dict(
                    video_id=video, category_id=category,
                    score=round(rng.random(), 3),
                    segmentations=[text(m) for m in near]))
    names = [f'v/{t:05d}.jpg' for t in range(FRAMES)]
    gt = dict(info={}, videos=[
        dict(id=v, height=SIZE[0], width=SIZE[1], length=FRAMES,
             file_names=names) for v in (3, 5)],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        annotations=truth)
    return gt, results


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a json."""
    found = []
    stack = [data]
    while stack:
        node = stack.pop()
        items = (node.items() if isinstance(node, dict) else
                 enumerate(node) if isinstance(node, list) else ())
        for key, value in items:
            found.append((node, key))
            stack.append(value)
    return found


def change_type(data: Any, rng: random.Random) -> Any:
    """Another kind of value somewhere."""
    node, key = rng.choice(places(data))
    node[key] = copy.deepcopy(rng.choice(ODD))
    return data


def change_range(data: Any, rng: random.Random) -> Any:
    """Another number somewhere."""
    node, key = rng.choice([(n, k) for n, k in places(data)
                            if type(n[k]) in (int, float)])
    value = node[key]
    node[key] = rng.choice([value + 1, value - 1, -value, value * 10**9,
                            float(value), value + .5, 0, 1 << 31, -1 << 31,
                            (1 << 29) - 1, 1 << 62, 1e300, str(value)])
    return data


def change_code(data: Any, rng: random.Random) -> Any:
    """Other runs in a mask."""
    node, _ = rng.choice([(n, k) for n, k in places(data) if k == 'counts'])
    counts = node['counts']
    if isinstance(counts, str):
        at = rng.randrange(len(counts))
        one = chr(rng.randrange(40, 120))
        node['counts'] = rng.choice([
            counts[:at], counts[at:], counts[:at] + counts[at + 1:],
            counts[:at] + one + counts[at + 1:],
            counts[:at] + one + counts[at:], counts * 2, counts[::-1],
            f"b'{counts}'", counts + '0', counts + '00', 'o' * 40,
            counts.encode().hex()])
    else:
        at = rng.randrange(len(counts))
        kind = rng.randrange(5)
        if kind == 0:
            counts[at] += rng.choice([-1, 1, 5, -50, 1 << 31, .5])
        elif kind == 1:
            del counts[at]
        elif kind == 2:
            counts.insert(at, rng.choice([0, 1, -1, None, 'x']))
        elif kind == 3:  # the same mask, split by runs of no pixel
            counts[at:at + 1] = [counts[at] // 2, 0,
                                 counts[at] - counts[at] // 2]
        else:
            rng.shuffle(counts)
    return data


def change_structure(data: Any, rng: random.Random) -> Any:
    """Parts that are missing, doubled, exchanged or elsewhere."""
    nodes = places(data)
    node, key = rng.choice(nodes)
    other, place = rng.choice(nodes)
    kind = rng.randrange(6)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, list):
        node.insert(key, copy.deepcopy(node[key]))
    elif kind == 2:
        node[key], other[place] = (copy.deepcopy(other[place]),
                                   copy.deepcopy(node[key]))
    elif kind == 3:
        node[key] = [node[key]]
    elif kind == 4 and isinstance(node, dict):
        node[rng.choice(['x', str(key).upper(), f'{key} '])] = node.pop(key)
    else:
        for _ in range(rng.choice([3, 50, 500])):
            node[key] = [node[key]]
    return data


def change_content(data: Any, rng: random.Random) -> Any:
    """Something else that is good, with another score or the same one."""
    records = data if isinstance(data, list) else data['annotations']
    record = rng.choice(records)
    other = rng.choice(records)
    frame = rng.randrange(FRAMES)
    kind = rng.randrange(8)
    if kind == 0:
        records.remove(record)
    elif kind == 1 and isinstance(data, list):
        records.append(copy.deepcopy(record))
    elif kind == 2:
        record['segmentations'][frame] = None
    elif kind == 3:
        record['segmentations'] = copy.deepcopy(other['segmentations'])
    elif kind == 4:
        record['category_id'] = 3 - record['category_id']
    elif kind == 5:
        rng.shuffle(records)
    elif kind == 6 and isinstance(data, list):
        record['score'] = rng.choice([other['score'], 0, -2.5, 7, 1e300])
    elif isinstance(data, dict):
        record.pop(rng.choice(['areas', 'bboxes', 'iscrowd']), None)
    record[rng.choice(['note', 'box_std'])] = rng.choice(ODD[:10])
    return data


def change_bytes(text: bytes, rng: random.Random) -> bytes:
    """A file that is no json any more, or another one."""
    at = rng.randrange(len(text))
    kind = rng.randrange(11)
    if kind < 3:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1:]
    return [text[:at], text[:at] + rng.randbytes(3) + text[at:],
            b'\xef\xbb\xbf' + text, text.decode().encode('utf-16'),
            gzip.compress(text), b'[' * rng.choice([10, 99_999]),
            text[:at] + b'9' * 5000 + text[at:], rng.randbytes(500)][kind - 3]


CHANGES = dict(content=change_content, types=change_type,
               ranges=change_range, codes=change_code,
               structure=change_structure)


def make_case(folder: Path, seed: int) -> tuple[str, str]:
    """Write gt.json and results.json; what was changed, and in which."""
    rng = random.Random(seed)
    pair = dict(zip(('gt', 'results'), base_pair(rng), strict=True))
    which = rng.choice(['gt', 'results'])
    kind = rng.choice([*CHANGES, 'bytes'])
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if kind != 'bytes':
            try:
                pair[which] = CHANGES[kind](pair[which], rng)
            except (IndexError, TypeError, AttributeError, ValueError,
                    OverflowError, KeyError, RecursionError):
                break  # nothing left to change, or it was changed before
    for name, data in pair.items():
        try:
            text = json.dumps(data).encode()
        except (ValueError, RecursionError):
            text = b'[' * 2000 + b']' * 2000
        if kind == 'bytes' and name == which:
            text = change_bytes(text, rng)
        (folder / f'{name}.json').write_bytes(text)
    return kind, which


def load_tool(name: str) -> ModuleType:
    """A tool as a module."""
    path = FOLDER / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_together() -> None:
    """Let several processes read any ground truth together; a file called
    ``together`` tells that it was one that they can."""
    find_records = ground_truth.find_records

    def find(*arguments: Any) -> Any:
        found = find_records(*arguments)
        if found:
            Path('together').touch()
        return found

    vars(ground_truth).update(find_records=find, WORTH_SHARING=0)


def in_process(folder: Path, tool: ModuleType, arguments: list[str],
               compare: bool, together: bool = False) -> tuple[int, str, str]:
    """Run a tool in a process with limits: status, stdout and stderr.

    After a result ``compare`` adds that of the slow reading. With
    ``together`` the tool shares the work with a second process.
    """
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.chdir(folder)
            for number, name in ((1, 'out'), (2, 'err')):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                        number)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            if together:
                read_together()
                arguments = [*arguments, '--processes', '2']
            sys.argv = [str(tool.__file__), *arguments]
            try:
                run_tool(tool.main)
                code = 0
                if compare:
                    sys.stdout.flush()
                    print(json.dumps(reference_scores('gt.json',
                                                      'results.json')))
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
                if isinstance(error.code, str):
                    print(error.code, file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    end = time.monotonic() + 6 * SECONDS  # the machine may be busy
    done, status = os.waitpid(child, os.WNOHANG)
    while not done:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(.002)
        done, status = os.waitpid(child, os.WNOHANG)
    out, err = ((folder / name).read_text(errors='replace')
                for name in ('out', 'err'))
    return os.waitstatus_to_exitcode(status), out, err


def sentence(err: str) -> str | None:
    """What is wrong with what a refusing tool printed, if anything."""
    lines = err.strip().splitlines()
    if not lines or 'Traceback' in err:
        return 'no sentence'
    if len(lines[-1]) > 700 or lines[-1].rstrip()[-1] not in '.?':
        return 'no short sentence'
    return None


def judge(folder: Path, tools: dict[str, ModuleType], which: str,
          together: bool) -> tuple[str, str | None]:
    """What became of a case: its outcome, and what is wrong with that."""
    status, out, err = in_process(
        folder, tools['eval_json'], ['gt.json', 'results.json', '--json'],
        True, together)
    lines = out.strip().splitlines()
    if status == 0:
        scored = 'scored together' if (
            folder / 'together').exists() else 'scored'
        scores, expected = map(json.loads, lines[-2:])
        for name, value in expected.items():
            if abs(scores[name] - value) > 1e-9:
                return scored, (f'{name} is {scores[name]}, the slow '
                                f'reading says {value}')
        return scored, None
    if status != 1:
        return 'scored', f'status {status}: {err[-1500:]}'
    wrong = sentence(err)
    if wrong is None and which == 'gt':
        status, out, report = in_process(
            folder, tools['validate_ytvis'], ['gt.json'], False)
        if status not in (0, 1) or 'Traceback' in report:
            wrong = f'validator: status {status}: {report[-1500:]}'
        elif status == 0 and 'Error: gt.json' in err and \
                'has no annotations' not in err:
            wrong = 'the validator finds no problem'
    return 'refused', wrong and f'{wrong}: {err[-600:]}'


TOOLS: dict[str, ModuleType] = {}


def run_case(seed: int, keep: Path | None,
             together: bool) -> tuple[int, list]:
    """Make and judge a case.

    Args:
        seed: of the case.
        keep: folder for the files of a case that fails.
        together: whether two processes read it together.

    Returns:
        Seed, and kind, file, outcome and what was wrong.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kind, which = make_case(folder, seed)
        outcome, wrong = judge(folder, TOOLS, which, together)
        if wrong is not None and keep is not None:
            kept = keep / str(seed)
            kept.mkdir(parents=True, exist_ok=True)
            for path in folder.glob('*.json'):
                (kept / path.name).write_bytes(path.read_bytes())
    return seed, [kind, which, outcome, wrong]


def quiet_worker() -> None:
    """Let a worker end without a word when the run is stopped."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def code_digest() -> str:
    """Short digest of the package, the two tools and the fuzzer."""
    digest = hashlib.sha256()
    package = Path(sys.modules['mmvis_memcnp'].__path__[0])
    for path in [*sorted(package.rglob('*.py')), *sorted(
            Path(__file__).parent.glob('fuzz_*.py')),
                 *(FOLDER / name for name in TESTED)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def finished_cases(log: Path) -> dict[int, list]:
    """Cases of a log by seed: kind, file, outcome and what was wrong.

    Raises:
        UserError: if the log is of other code, or no log.
    """
    if not log.exists():
        log.write_text(json.dumps(code_digest()) + '\n')
    first, *lines = log.read_text().split('\n')
    if first != json.dumps(code_digest()):
        raise UserError(f'{log} is no log of this code: give --log another '
                        'file to begin anew.')
    # What follows the last line end was cut off when the run was stopped.
    if lines[-1]:
        log.write_text('\n'.join([first, *lines[:-1], '']))
    return {case[0]: case[1:] for case in map(json.loads, lines[:-1])}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=0,
                        help='of the first case; the others follow')
    parser.add_argument('--keep', type=Path,
                        help='folder for the files of cases that fail')
    parser.add_argument('--processes', type=int, default=1,
                        help='that share the cases (default: %(default)s)')
    parser.add_argument('--together', action='store_true',
                        help='two processes score each case')
    parser.add_argument('--log', type=Path,
                        help='file of finished cases, to which more are added')
    return parser.parse_args()


def main() -> None:
    """Run all cases; status 1 if one fails."""
    args = parse_args()
    if args.log:
        check_place(args.log.parent, '--log')
    if args.keep:
        check_place(args.keep, '--keep')
    if args.together and compiled.missing():
        raise UserError('--together needs the compiled functions '
                        f'({compiled.missing()}): make own-ops builds them.')
    done = finished_cases(args.log) if args.log else {}
    seeds = range(args.seed, args.seed + args.count)
    left = [seed for seed in seeds if seed not in done]
    TOOLS.update({Path(name).stem: load_tool(name) for name in TESTED})
    gc.freeze()  # forked processes share what is never looked at again
    # Not a Pool: its workers may not have processes of their own.
    pool = ProcessPoolExecutor(args.processes, get_context('fork'),
                               quiet_worker)
    try:
        work = partial(run_case, keep=args.keep, together=args.together)
        for finished in as_completed([pool.submit(work, s) for s in left]):
            seed, case = finished.result()
            done[seed] = case
            if args.log:
                args.log.parent.mkdir(parents=True, exist_ok=True)
                with args.log.open('a') as log:
                    log.write(json.dumps([seed, *case]) + '\n')
            kind, which, _, wrong = case
            if wrong is not None:
                print(f'seed {seed} ({kind} of {which}): {wrong}', flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    counts = Counter(tuple(done[seed][:3]) for seed in seeds)
    for key, number in sorted(counts.items()):
        print(f'{" ".join(key):36} {number}')
    failed = [seed for seed in seeds if done[seed][3] is not None]
    print(f'{args.count} cases, {len(failed)} failed'
          + (f': seeds {failed[:50]}' if failed else ''))
    sys.exit(bool(failed))


if __name__ == '__main__':
    run_tool(main, 'finished cases are in --log, if it was given.')
