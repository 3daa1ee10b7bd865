"""Turn annotations of MOTS in txt files into a VIS json.

KITTI MOTS and MOTSChallenge: ANNOTATIONS is the txt of one video, whose
frames are in FRAMES, or a folder with NAME.txt or NAME/gt/gt.txt for every
folder NAME of FRAMES; its frames may be in NAME/img1.

Ids are 1000 times the class, plus the number of the object; 1 is car, 2 is
pedestrian, and others are called class_3 and so on. Regions to be ignored
(id 10000) are left out, which is said. The number of a frame is that in the
name of its image.

Categories may be changed by the id: --categories names a json such as
{"0002": {"1001": "van"}}.

Example:

    python tools/dataset_converters/mots2ytvis.py training/image_02 \
        instances_txt kitti_mots.json
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

from mmvis_memcnp.annotations.mots import find
from mmvis_memcnp.cli.conversion import run_conversion
from mmvis_memcnp.cli.run import run_tool


def main() -> None:
    """Convert."""
    run_conversion(__doc__, find, 'txt of MOTS', in_file=True)


if __name__ == '__main__':
    run_tool(main)
