"""Write the network of single frames of a system as ONNX.

The file holds everything from the padded, normalised frame to class scores,
boxes, embeddings and mask features, and what the Python side needs to know
(class names, the map of sigmas). What is an object, NMS, masks at full size,
identities and scores of tracks stay in Python, as docs/deployment.md says.
The demo and VISInferencer take the file in the place of a checkpoint.

Example:

    python tools/deployment/export_onnx.py \
        configs/sipmask/sipmask-memcnp_r18_movingshapes.py \
        demo/weights/sipmask-memcnp_r18_movingshapes.pth outputs/sipmask.onnx
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.deployment import differences, export_onnx
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.ownership import check_file, new_file


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of SipMask, IDOL, MinVIS, '
                        'CTVIS or VidEoMT')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('out', type=Path, metavar='OUT',
                        help='.onnx file to write')
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('WIDTH', 'HEIGHT'),
        default=(640, 360), help='of the frames of the video, which the '
        'pipeline of the config resizes; default: 640 360')
    parser.add_argument(
        '--fixed-size', action='store_true', help='for frames of --size '
        'alone, where a network cannot be exported for any size')
    add_config_options(parser)
    add_overwrite_option(parser)
    return parser.parse_args(argv)


def main(argv: Iterable[str] | None = None) -> None:
    """Export and compare."""
    args = parse_args(argv)
    if min(args.size) < 1:
        raise UserError('--size must be positive, width and height.')
    check_file(args.out, 'OUT', args.overwrite, [Path(args.checkpoint)])
    inferencer = VISInferencer(args.config, args.checkpoint, 'cpu',
                               args.cfg_options)
    width, height = args.size
    frame = np.random.default_rng(0).integers(
        0, 256, (height, width, 3), dtype=np.uint8)
    inputs, metas = inferencer.prepare([frame])
    meta: dict = dict(dataset_meta=dict(classes=inferencer.classes))
    if inferencer.model.sigma_map is not None:
        meta['sigma_map'] = inferencer.model.sigma_map.settings()
    with new_file(args.out, args.overwrite, 'OUT') as name:
        export_onnx(inferencer.model, name, inputs.shape[-2:], meta,
                    any_size=not args.fixed_size)
        found = differences(inferencer.model, name, inputs, metas)
    for output, difference in found.items():
        print(f'{output}: differs by {difference:.1e} at most')
    print(f'{args.out}: {args.out.stat().st_size / 2**20:.1f} MB')


if __name__ == '__main__':
    run_tool(main, stopped='nothing was written.')
