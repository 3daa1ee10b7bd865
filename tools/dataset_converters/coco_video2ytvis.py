"""Turn a COCO json of videos (CocoVID of mmtracking) into a VIS json.

ANNOTATIONS is the json: a COCO json with videos, whose images have a video_id
and a frame_id and whose annotations have an instance_id; also what mmdet's
youtubevis2coco.py writes. FRAMES is the folder that the names of the images
begin from.

An instance_id is an object of its video. Crowd regions are left out, which is
said; an annotation without a segmentation is refused.

Categories may be changed by the instance_id: --categories names a json such
as {"video1": {"1": "person", "5": "backpack"}}, with the names of the videos
or, where they have none, their ids.

Example:

    python tools/dataset_converters/coco_video2ytvis.py data/images \
        data/annotations/train_cocovid.json data/train.json
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

from mmvis_memcnp.annotations.coco_video import find
from mmvis_memcnp.cli.conversion import run_conversion
from mmvis_memcnp.cli.run import run_tool


def main() -> None:
    """Convert."""
    run_conversion(__doc__, find, 'COCO json of videos', in_file=True,
                   in_folder=False)


if __name__ == '__main__':
    run_tool(main)
