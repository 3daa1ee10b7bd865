"""Turn frames and palette masks in the form of DAVIS into a VIS json.

FRAMES and MASKS hold a folder a sequence (or are one sequence each) with
files of the same stem: 00000.jpg and 00000.png. The value of a mask's pixel
is the object, 0 the background, 255 unlabelled. Where the masks of a sequence
have a single value besides 0, such as 0 and 255, that value is one object.

Frames are taken in the order of the numbers in their names and as they are
shown, turned as their EXIF orientation says; masks must have that size. What
is hidden (.ipynb_checkpoints) is passed over.

DAVIS has no categories. Every object is an 'object', unless --categories
names a json such as {"schoolgirls": {"1": "person", "5": "backpack"}}.

Example:

    python tools/dataset_converters/davis2ytvis.py DAVIS/JPEGImages/480p \
        DAVIS/Annotations/480p davis.json
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

from mmvis_memcnp.annotations.davis import find
from mmvis_memcnp.cli.conversion import run_conversion
from mmvis_memcnp.cli.run import run_tool


def main() -> None:
    """Convert."""
    run_conversion(__doc__, find, 'a folder of masks in the form of DAVIS')


if __name__ == '__main__':
    run_tool(main)
