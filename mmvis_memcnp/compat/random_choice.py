"""A random choice of transforms that is the same for the frames of a clip.

Cause: mmcv 2.1 notes the random methods of a transform in a list of the class
that subclasses share. mmdet 3.3 overrides the one of ``RandomChoice`` in a
subclass, so that it stands there twice; the check that it is called once a
frame counts two calls, and ``TransformBroadcaster(share_random_params=True)``
refuses the transform.
"""


def install() -> None:
    """Name every method once."""
    # The subclass must exist before the list is changed.
    import mmdet.datasets.transforms  # noqa: F401
    from mmcv.transforms import RandomChoice

    names = getattr(RandomChoice, '_methods_with_randomness', [])
    names[:] = dict.fromkeys(names)
