# For checkpoints of LOMM, the published O2VIS, and how it was trained: by the
# tracker's own order from the start, and with the class of an object where it
# is absent, too. Masks of all rows are made.
_base_ = './o2vis_r50_8xb1-160k-coco-joint_youtubevis2022.py'

model = dict(early=None, absent_as_no_object=False, num_shown=None)
