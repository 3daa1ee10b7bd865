"""Strip a training checkpoint down to what inference needs.

Keeps the weights, the class names and the map of standard deviations, if there
is one; optimiser, schedulers, messages and the config go. With --half,
floating-point weights are stored in 16 bits (they are loaded into 32-bit
models as usual). Prints size and SHA-256.

Example:

    python tools/model_converters/publish_model.py \
        work_dirs/run/iter_3000.pth model.pth --half
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import hashlib
from pathlib import Path

import torch

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.ownership import check_file, new_file
from mmvis_memcnp.results.sigma_map import KEY


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--half', action='store_true')
    add_overwrite_option(parser)
    return parser.parse_args()


def publish(checkpoint: dict, half: bool) -> dict:
    """What of a checkpoint is worth shipping.

    Args:
        checkpoint: with ``state_dict`` and perhaps ``meta``.
        half: store floating-point tensors as float16.

    Returns:
        ``state_dict``, and ``meta`` with ``dataset_meta`` and the map of
        standard deviations alone.

    Raises:
        UserError: if a weight does not fit into 16 bits.
    """
    state = {k: v.detach().cpu().clone()
             for k, v in checkpoint['state_dict'].items()}
    if half:
        for name, value in state.items():
            if value.is_floating_point():
                state[name] = value.half()
                if not torch.isfinite(state[name]).all():
                    raise UserError(f'{name} does not fit into 16 bits: '
                                    'leave out --half.')
    meta = checkpoint.get('meta', {})
    kept = dict(dataset_meta=dict(
        classes=tuple(meta.get('dataset_meta', {}).get('classes', ()))))
    if KEY in meta:
        kept[KEY] = meta[KEY]
    return dict(state_dict=state, meta=kept)


def main() -> None:
    """Load, strip, write."""
    args = parse_args()
    check_file(args.out, 'OUT', args.overwrite, [args.source])
    result = publish(load_checkpoint_file(args.source), args.half)
    with new_file(args.out, args.overwrite, 'OUT') as name:
        torch.save(result, name)
    data = args.out.read_bytes()
    print(f'{args.out}: {len(data) / 1e6:.1f} MB, sha256 '
          f'{hashlib.sha256(data).hexdigest()}')


if __name__ == '__main__':
    run_tool(main)
