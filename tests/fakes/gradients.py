"""What a loss teaches: the parts of a model that its gradient reaches."""

#: What every loss of a query system must reach.
TRUNK = {'backbone', 'neck', 'encoder', 'decoder', 'query_embed',
         'reference_points'}
#: Heads of one decoder layer each.
_BY_LAYER = ('cls_branches', 'box_branches')
#: Heads of all layers of Mask2Former's decoder.
_IN_DECODER = ('cls_embed', 'mask_embed')


def parts_reached(model, loss):
    """Names of the parts with a gradient that is not zero, a decoder layer's
    heads apart (``cls_branches.0``); of a segmenter its parts."""
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    reached = set()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and parameter.grad.abs().sum() > 0:
            first, *rest = name.removeprefix('segmenter.').split('.')
            if first in _BY_LAYER:
                first = f'{first}.{rest[0]}'
            elif rest[0] in _IN_DECODER:
                first = rest[0]
            reached.add(first)
    return reached


def heads_of(name, num_layers=2):
    """Heads that a loss of class, box or mask teaches beside the trunk.

    Args:
        name: such as ``d0.loss_mask``.
        num_layers: decoder layers of the model.
    """
    prefix, _, kind = name.rpartition('loss_')
    layer = int(prefix[1:-1]) if prefix else num_layers - 1
    return dict(
        cls={f'cls_branches.{layer}'}, bbox={f'box_branches.{layer}'},
        giou={f'box_branches.{layer}'},
        mask={'mask_branch', 'mask_controller'},
        dice={'mask_branch', 'mask_controller'})[kind]
