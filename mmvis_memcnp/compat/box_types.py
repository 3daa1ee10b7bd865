"""The box type that ``BitmapMasks.get_bboxes`` asks for by default.

Cause: mmdet 3.3 registers its horizontal boxes as ``hbox``, while the default
of ``get_bboxes(dst_type='hbb')`` still uses the older name, so that a plain
``masks.get_bboxes()`` raises.
"""


def install() -> None:
    """Make ``hbb`` another name of mmdet's horizontal boxes."""
    # Not at the top: it imports mmcv.ops, which must come after its shim.
    from mmdet.structures.bbox import HorizontalBoxes, box_type

    # ``register_box`` would drop the first name: a class has one there.
    box_type.box_types.setdefault('hbb', HorizontalBoxes)
