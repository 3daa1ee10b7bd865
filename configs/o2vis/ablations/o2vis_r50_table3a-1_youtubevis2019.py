# Table 3 (a), row 1: no memory.
_base_ = '../o2vis-segmenter_r50_8xb2-32k-coco-joint_youtubevis2019.py'
