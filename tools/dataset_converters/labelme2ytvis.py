"""Turn annotations of labelme into a VIS json.

FRAMES holds a folder of frames a video (or the frames of one video), and
ANNOTATIONS, which may be the same folder, the jsons of labelme laid out alike:
00000.jpg and 00000.json. Frames without a json are left out, which is said.

The label is the category. An object is a label with a group_id (several
shapes at a frame are united then), or, where there is no group_id, a label
alone. Polygons, rectangles and masks are read; other shapes are left out,
which is said. Flags and embedded images are not read.

Categories may be changed: --categories names a json such as
{"video1": {"person1": "person", "dog:2": "dog"}}, in which dog:2 is the
label dog with the group_id 2.

Example:

    python tools/dataset_converters/labelme2ytvis.py my_data my_data \
        my_data.json
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

from mmvis_memcnp.annotations.labelme import find
from mmvis_memcnp.cli.conversion import run_conversion
from mmvis_memcnp.cli.run import run_tool


def main() -> None:
    """Convert."""
    run_conversion(__doc__, find, 'folder of jsons of labelme')


if __name__ == '__main__':
    run_tool(main)
