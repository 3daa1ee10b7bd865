"""Turn a results.json into one HTML page to look at, the worst cases first.

The page holds everything (frames, masks, scores) and works without a network.
With ground truth it has all scores, and shows which track follows which
object; without, what looks odd in the tracks.

Examples:

    python tools/analysis_tools/report.py outputs/demo/moving_shapes.json \\
        --frames demo/moving_shapes.mp4
    python tools/analysis_tools/report.py results.json --gt gt.json \\
        --frames data/youtube_vis_2021/train/JPEGImages
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
from collections.abc import Iterable, Sized
from pathlib import Path

from tqdm import tqdm

from mmvis_memcnp.cli.numbers import positive, share
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.report.inputs import read_inputs
from mmvis_memcnp.report.page import page_data, write_page
from mmvis_memcnp.results.ownership import check_file, new_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('results', help='results.json')
    parser.add_argument('--gt', metavar='GT.json',
                        help='YouTube-VIS style json of the videos; with '
                        'annotations, scores are computed')
    parser.add_argument('--frames', metavar='PLACE',
                        help='folder that file names of the ground truth '
                        'are relative to; of one video also the video, or '
                        'the folder of its frames (default: no pictures)')
    parser.add_argument('--out', default='outputs/report.html',
                        metavar='PAGE.html', help='page (default: '
                        '%(default)s)')
    parser.add_argument('--title', help='heading (default: name of the '
                        'results)')
    parser.add_argument('--classes', nargs='+', default=[], metavar='NAME',
                        help='names of the categories 1, 2, ..., without '
                        '--gt')
    parser.add_argument('--video', type=int, nargs='+', metavar='ID',
                        help='show these videos (default: the worst)')
    parser.add_argument('--videos', type=int, default=12,
                        help='show so many (default: %(default)s)')
    parser.add_argument('--score-thr', type=share, default=.3,
                        help='tracks that score less are hidden at first, '
                        'and follow no object (default: %(default)s)')
    parser.add_argument('--side', type=int, default=640,
                        help='longer side of a picture in pixels (default: '
                        '%(default)s)')
    parser.add_argument('--max-mb', type=positive, default=25.,
                        help='megabytes of the videos in the page (default: '
                        '%(default)s)')
    parser.add_argument('--processes', type=int, default=1,
                        help='processes that score the videos (default: '
                        '%(default)s)')
    add_overwrite_option(parser)
    return parser.parse_args()


def bar(items: Iterable, name: str) -> Iterable:
    """A progress bar, where there is a terminal."""
    return tqdm(items, name, disable=None, leave=False)


def counted(items: Sized, name: str) -> str:
    """How many there are of something."""
    return f'{len(items)} {name}{"s" if len(items) != 1 else ""}'


def main() -> None:
    """Write the page."""
    args = parse_args()
    for option, value, least in (('--videos', args.videos, 1),
                                 ('--side', args.side, 64),
                                 ('--processes', args.processes, 1)):
        if value < least:
            raise UserError(f'{option} must be {least} or more, got {value}.')
    sources = [p for p in (args.results, args.gt, args.frames) if p]
    check_file(args.out, '--out', args.overwrite, sources)
    if Path(args.out).suffix.lower() not in ('.html', '.htm'):
        raise UserError(f'--out must name an .html file, got {args.out}.')
    inputs = read_inputs(args.results, args.gt, args.classes)
    data = page_data(
        inputs, args.title or Path(args.results).name, args.frames,
        args.score_thr, args.videos, args.video, args.side,
        round(args.max_mb * 1e6), args.processes, bar)
    with new_file(args.out, args.overwrite, '--out') as path:
        write_page(data, path)
    size = Path(args.out).stat().st_size / 1e6
    print(f'{args.out}: {counted(data["videos"], "video")}, '
          f'{counted(data["cases"], "case")}, {size:.1f} MB')
    for note in data['notes']:
        print(note)


if __name__ == '__main__':
    run_tool(main, 'nothing was written.')
