"""Turn annotations of CVAT ("CVAT for video 1.1") into a VIS json.

ANNOTATIONS is the annotations.xml of one video, whose frames are in FRAMES,
or a folder with NAME.xml or NAME/annotations.xml for every folder NAME of
FRAMES; its frames may be in NAME/images, as in an export with images. These
must be all the frames of the task, and no others.

A track is an object, and its label the category. Polygons and masks are read,
and boxes as polygons of four corners, which is said. Frames between keyframes
are interpolated as in CVAT; after the last keyframe an object stays where it
is, unless it is "outside". Masks have no tracks in CVAT: those with the same
label and group are one object. Attributes are ignored; other shapes are left
out, which is said.

Categories may be changed by the id of the track: --categories names a json
such as {"video1": {"0": "person", "3": "backpack"}}.

Example:

    python tools/dataset_converters/cvat2ytvis.py export/images \
        export/annotations.xml video1.json
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

from mmvis_memcnp.annotations.cvat import find
from mmvis_memcnp.cli.conversion import run_conversion
from mmvis_memcnp.cli.run import run_tool


def main() -> None:
    """Convert."""
    run_conversion(__doc__, find, 'xml of CVAT for video 1.1', in_file=True)


if __name__ == '__main__':
    run_tool(main)
