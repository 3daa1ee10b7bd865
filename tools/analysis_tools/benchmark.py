"""Time a model frame by frame, alone or against another.

Four parts: ``read`` (decoding, resizing, normalising, transfer to the
device), ``network`` (detections), ``association`` (identities), ``output``
(masks at the original resolution, run-length codes, the store). With
``--against`` the two models take turns frame by frame, so that a machine that
slows down slows both, and the ratio is that of the same frame.

A system that sees several frames at once gives results late: what the end of
a video takes is shared out over its frames. The mean is then the number to
look at, as frames that complete a window take longer than the others; the
means of the parts add up to that of the total. Noise is one video as long as
what is measured.

Overrides of --cfg-options go into the configs of both models.

With random weights a model finds nothing or too much: the number of instances
a frame is printed, and the parts after the network mean little without a
checkpoint.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mmvis_memcnp.apis import VISInferencer, open_source
from mmvis_memcnp.cli.options import add_backend_option, add_model_options
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results import FileSink

PARTS = ('read', 'network', 'association', 'output')
#: What sessions call of a model, and which part that is; systems have some of
#: these. A call inside another one counts as the inner part.
WATCHED = dict(encode='network', decode='network', propagate='network',
               lazy_masks='network', advance='association',
               drain='association')


class Contestant:
    """A model and the times of its frames.

    Args:
        inferencer (VISInferencer): The model with its pipeline.
        source: Video to loop over; see ``open_source``.
        amp (bool): Run the network under autocast.
        chunk (int): Frames that the network gets at once.
        clock (Callable): Seconds; on a busy CPU ``time.process_time``.
    """

    def __init__(self, inferencer: VISInferencer, source, amp: bool,
                 chunk: int = 1,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self._inferencer, self._source = inferencer, source
        self._chunk, self._clock = chunk, clock
        self._model, self._device = inferencer.model, inferencer.device
        self._autocast = torch.autocast(self._device.type, enabled=amp)
        self._frames: Iterator[np.ndarray] = iter(())
        self._session: Any = None
        self._length = 0
        self._spent = dict.fromkeys(PARTS, 0.)
        self._nested = 0.  # seconds of watched calls inside the current one
        for name, part in WATCHED.items():
            self._watch(part, self._model, name)
        self.times: list[list[float]] = []
        self.instances: list[int] = []

    @torch.no_grad()
    def frame(self) -> None:
        """Take and time the next frame, or chunk of frames; the video starts
        over at its end."""
        begin = self._now()
        images = list(islice(self._frames, self._chunk))
        if not images:
            self.end()
            source = open_source(self._source)
            self._frames = iter(source)
            known = dict(video_length=source.length or 0)
            self._session = self._model.session(known, FileSink())
            self._length = 0
            begin = self._now()  # opening is no part of a frame
            images = list(islice(self._frames, self._chunk))
        inputs, metas = self._inferencer.prepare(images)
        for meta in metas:
            meta['frame_id'] = self._length
            self._length += 1
        self._spent['read'] = self._now() - begin
        results = self._timed(self._session.step, inputs, metas)
        self.times += [[seconds / len(images)
                        for seconds in self._spent.values()] for _ in images]
        self.instances += [len(result) for result in results]
        self._spent = dict.fromkeys(PARTS, 0.)

    def end(self) -> None:
        """End the video; what that takes is shared out over its frames."""
        if self._session is None:
            return
        results = self._timed(self._session.flush)
        self._session = None
        self.instances += [len(result) for result in results]
        frames = self.times[-self._length:]
        if results:
            for times in frames:
                for i, seconds in enumerate(self._spent.values()):
                    times[i] += seconds / self._length
        self._spent = dict.fromkeys(PARTS, 0.)

    def _timed(self, call: Callable[..., list], *args: Any) -> list:
        """Run a call of the session; what is in no other part is output."""
        begin = self._now()
        results = call(*args)
        self._spent['output'] = self._now() - begin - (
            self._spent['network'] + self._spent['association'])
        return results

    def _watch(self, part: str, owner: Any, name: str) -> None:
        """Count the time of a method, if the owner has it, to a part."""
        method = getattr(owner, name, None)
        if method is None or hasattr(method, 'watched'):
            return

        def watched(*args: Any) -> Any:
            outer, self._nested = self._nested, 0.
            begin = self._now()
            with self._autocast if part == 'network' else nullcontext():
                found = method(*args)
            spent = self._now() - begin
            self._spent[part] += spent - self._nested
            self._nested = outer + spent
            return found

        watched.watched = True  # type: ignore[attr-defined]
        setattr(owner, name, watched)

    def forget(self) -> None:
        """Drop what was measured so far, the warm-up, and end its video."""
        self.end()
        self._frames = iter(())
        self.times.clear()
        self.instances.clear()

    def input_hw(self, image: np.ndarray) -> list[int]:
        """Height and width of the network's input for a frame."""
        return list(self._inferencer.prepare([image])[0].shape[-2:])

    def weights(self) -> int:
        """Bytes of the model's parameters and buffers."""
        return sum(x.numel() * x.element_size() for x in (
            *self._model.parameters(), *self._model.buffers()))

    def by_part(self) -> dict[str, np.ndarray]:
        """Milliseconds of each frame, a part each and in total."""
        times = np.array(self.times) * 1e3
        return dict(zip(PARTS, times.T, strict=True), total=times.sum(1))

    def report(self) -> dict:
        """Milliseconds a frame by part, and frames a second on average."""
        parts = {k: summary(ms) for k, ms in self.by_part().items()}
        return dict(ms=parts, fps=1e3 / parts['total']['mean'],
                    instances=float(np.mean(self.instances)))

    def _now(self) -> float:
        if self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)
        return self._clock()


def summary(values: np.ndarray) -> dict[str, float]:
    """Median, quartiles and mean of some numbers."""
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return dict(median=median, q25=low, q75=high, mean=float(values.mean()))


def ratio(times: np.ndarray, others: np.ndarray) -> dict[str, float] | None:
    """How much longer the first model takes.

    Args:
        times: (n,), the first model's frames.
        others: (n,), the second model's, in the same turns.

    Returns:
        Median and quartiles of the ratios of the frames in which both did
        something, and the ratio of the means; None if there is no such frame:
        not every system has every part.
    """
    both = (times > 0) & (others > 0)
    if not both.any():
        return None
    return dict(summary(times[both] / others[both]),
                mean=float(times.mean() / others.mean()))


def textured_frames(count: int, shape: tuple[int, int]) -> np.ndarray:
    """Frames (count, H, W, 3) of smooth noise, to decode nothing."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, *(-(-s // 8) for s in shape), 3),
                          dtype=np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)[:, :shape[0], :shape[1]].copy()


def environment(device: torch.device, amp: bool) -> dict:
    """What the times depend on."""
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else \
        platform.processor() or platform.machine()
    precision = 'float32'
    if amp:
        precision = f'autocast {torch.get_autocast_dtype(device.type)}'
    return dict(device=device.type, device_name=name, precision=precision,
                threads=torch.get_num_threads(), torch=torch.__version__)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument('--against', metavar='CONFIG2',
                        help='a second model; times are compared')
    parser.add_argument('--against-checkpoint', metavar='CHECKPOINT2')
    parser.add_argument('--against-backend', choices=['torch', 'onnx'],
                        default='torch', help='as --backend, of the second')
    parser.add_argument('--input', help='video to read; default: noise that '
                        'lies in memory')
    parser.add_argument('--size', type=int, nargs=2, default=[720, 1280],
                        metavar=('H', 'W'), help='of the noise; the config '
                        'resizes it (default: 720 1280)')
    parser.add_argument('--frames', type=int, default=30,
                        help='measured frames a model (default: 30)')
    parser.add_argument('--warm-up', type=int, default=5,
                        help='frames before that (default: 5)')
    parser.add_argument('--amp', action='store_true',
                        help='mixed precision in the network')
    parser.add_argument('--json', action='store_true',
                        help='last line is a JSON object')
    add_backend_option(parser)
    add_model_options(parser)
    return parser.parse_args()


def compete(contestants: dict[str, Contestant], frames: int,
            warm_up: int) -> None:
    """Let the models take turns; each is first equally often."""
    runners = list(contestants.values())
    for turn in tqdm(range(warm_up + frames), unit='frame'):
        if turn == warm_up:
            for contestant in runners:
                contestant.forget()
        for contestant in runners[::-1 if turn % 2 else 1]:
            contestant.frame()
    for contestant in runners:
        contestant.end()


def show(name: str, report: dict) -> None:
    """Print the times of a model."""
    print(f'{name}: {report["fps"]:.2f} frames a second, '
          f'{report["instances"]:.1f} instances a frame')
    for part, ms in report['ms'].items():
        print(f'  {part:12} {ms["median"]:9.2f} ms  '
              f'[{ms["q25"]:.2f}, {ms["q75"]:.2f}]  '
              f'mean {ms["mean"]:.2f}')


def main() -> None:
    args = parse_args()
    if args.frames < 1 or args.warm_up < 0 or min(args.size) < 1:
        raise UserError('--frames and --size must be positive, --warm-up not '
                        'negative.')
    source = args.input
    if source is None:
        noise = textured_frames(8, tuple(args.size))
        source = [noise[t % len(noise)] for t in range(args.frames)]
    models = dict(model=(args.config, args.checkpoint, args.backend))
    if args.against:
        models['against'] = (args.against, args.against_checkpoint,
                             args.against_backend)
    contestants = {}
    for key, (config, checkpoint, backend) in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            torch.manual_seed(0)  # the same config, the same random weights
            inferencer = VISInferencer(config, checkpoint, args.device,
                                       args.cfg_options, backend=backend)
        contestants[key] = Contestant(inferencer, source, args.amp)
    compete(contestants, args.frames, args.warm_up)

    report: dict = environment(inferencer.device, args.amp)
    report.update(frames=args.frames, warm_up=args.warm_up)
    print('{device} ({device_name}), {precision}, {threads} threads, torch '
          '{torch}; median [quartiles] of {frames} frames after {warm_up}'
          .format(**report))
    for key, contestant in contestants.items():
        report[key] = dict(config=models[key][0], **contestant.report())
        show(models[key][0] + (' (random weights)' if models[key][1] is None
                               else ''), report[key])
    if args.against:
        times, others = (c.by_part() for c in contestants.values())
        report['ratio'] = {k: ratio(times[k], others[k]) for k in times}
        for part in ('network', 'total'):
            print('{0}, first / second: {median:.3f} [{q25:.3f}, {q75:.3f}]  '
                  'means {mean:.3f}'.format(part, **report['ratio'][part]))
    if args.json:
        print(json.dumps(report))


if __name__ == '__main__':
    run_tool(main)
