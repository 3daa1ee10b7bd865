"""Find, segment and follow the objects of a video.

Leaves an annotated video (mask, one stable colour an identity, label, score,
uncertainty ellipses), a YouTube-VIS results json and, for models with MemCNP,
a plot of the uncertainty of each track over time. Memory does not grow with
the length of the video.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import os
import warnings
from collections import deque
from contextlib import closing

# OpenCV's and FFmpeg's own messages say less than ours; they read these when
# they are loaded.
os.environ.setdefault('OPENCV_LOG_LEVEL', 'OFF')
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

import cv2  # noqa: E402
from tqdm import tqdm  # noqa: E402

from mmvis_memcnp.apis import (
    VISInferencer,
    open_source,  # noqa: E402
)
from mmvis_memcnp.apis.background import Background  # noqa: E402
from mmvis_memcnp.apis.outputs import VideoOutputs  # noqa: E402
from mmvis_memcnp.cli.numbers import positive, share  # noqa: E402
from mmvis_memcnp.cli.options import (  # noqa: E402
    add_backend_option,
    add_model_options,
    add_optimize_option,
)
from mmvis_memcnp.cli.output_options import (  # noqa: E402
    add_overwrite_option,
)
from mmvis_memcnp.cli.run import run_tool  # noqa: E402
from mmvis_memcnp.errors import UserError  # noqa: E402
from mmvis_memcnp.visualization.files import BROWSER_CODECS, CODECS  # noqa: E402

WINDOW = 'mmvis_memcnp (q ends)'
# Frames that may wait to be drawn and written.
WAITING = 8


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        'input', help='video, folder of images, glob pattern (quoted), '
        'webcam (0 or webcam:0) or stream address')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights; their '
                        'classes are used where the config names others')
    parser.add_argument('--out-dir', default='outputs', help='folder')
    add_overwrite_option(parser)
    parser.add_argument(
        '--score-thr', type=share, default=0.3, help='instances that score '
        'less are not drawn nor written as PNG or MOTS; the json has all')
    parser.add_argument('--png-masks', action='store_true',
                        help='write a PNG an instance and frame')
    parser.add_argument('--mots', action='store_true', help='write a MOTS txt')
    parser.add_argument('--max-frames', type=int, help='stop after so many')
    parser.add_argument('--no-video', action='store_true',
                        help='write no video')
    parser.add_argument('--codec', choices=['auto', *CODECS], default='auto',
                        help='of the video; auto: h264 (mp4) if OpenCV has '
                        'it, else vp8 (webm); vp9 (mp4) makes smaller files '
                        'in five times the time; mp4v is fast to write but '
                        'no browser plays it')
    parser.add_argument('--fps', type=positive, help='of the video; default: '
                        'that of the input, else 10')
    parser.add_argument('--allow-broken', action='store_true', help='keep '
                        'what comes before the place where a video breaks')
    parser.add_argument('--show', action='store_true',
                        help='also show the frames in a window')
    add_backend_option(parser)
    add_model_options(parser)
    add_optimize_option(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    source = open_source(args.input, args.max_frames, args.allow_broken)
    if args.show:
        _check_display()
    codec = args.codec
    if source.live and codec == 'auto':
        codec = 'mp4v'  # the only one that keeps up with a camera
    # Before the model is built: it says at once where it may not write.
    outputs = VideoOutputs(
        args.out_dir, source.name, score_thr=args.score_thr,
        fps=args.fps or source.fps or 10., video=not args.no_video,
        codec=codec, png_masks=args.png_masks, mots=args.mots,
        overwrite=args.overwrite, inputs=source.files)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        inferencer = VISInferencer.from_args(args)
    outputs.classes = inferencer.classes
    with outputs:
        # Of a broken video it is not known what can be read.
        length = None if args.allow_broken else source.length
        session = inferencer.session(outputs.sink, length=length)
        waiting: deque = deque()  # results may come later than frames

        def take(results: list) -> bool:
            """Draw, write and show frames; True when the user wants to end."""
            pictures = [background.submit(outputs.add, waiting.popleft(), r)
                        for r in results]
            return args.show and any([_show(p.result()) for p in pictures])

        with Background(WAITING) as background:
            try:
                with closing(session.batches(source)) as batches, tqdm(
                        total=source.length, unit='frame',
                        desc=source.name) as bar:
                    for frames in batches:
                        waiting += frames
                        end = take(session.step(frames))
                        bar.update(len(frames))
                        if end:
                            break
            except KeyboardInterrupt:
                if not source.live:
                    raise
            take(session.flush())
        video = session.finish()
        made = outputs.publish(video)
    print(f'{video.num_frames} frames, {len(video.tracks)} tracks.')
    if source.dropped:
        print(f'{source.dropped} more frames came while the network was busy '
              'and were left out'
              + ('.' if args.no_video else ', so the video plays faster than '
                 'it happened.'))
    for kind, path in sorted(made.items()):
        note = ''
        if kind == 'video':
            plays = ('plays in browsers' if outputs.codec in BROWSER_CODECS
                     else 'for players such as VLC; browsers do not play it')
            note = f' ({outputs.codec}, {plays})'
        print(f'{kind}: {path}{note}')
    if 'uncertainty' not in made:
        print('uncertainty: none, the model predicts no standard deviations '
              'or found nothing.')


def _check_display() -> None:
    """Refuse --show where no window can open, before any work is done."""
    try:
        cv2.namedWindow(WINDOW)
    except cv2.error as error:
        raise UserError('--show needs a display and an OpenCV with windows '
                        '(opencv-python, not -headless): leave it out and '
                        'watch the video.') from error


def _show(picture) -> bool:
    """Show a frame; True when the user wants to end."""
    cv2.imshow(WINDOW, picture)
    return cv2.waitKey(1) in (ord('q'), 27)


if __name__ == '__main__':
    run_tool(main, stopped='nothing was written.')
