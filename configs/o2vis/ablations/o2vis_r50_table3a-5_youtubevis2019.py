# Table 3 (a), row 5: the occupancy memory, occupied rows first.
_base_ = '../o2vis-segmenter_r50_8xb2-32k-coco-joint_youtubevis2019.py'

model = dict(
    tracker=dict(
        association=dict(occupied_first=True),
        memory=dict(_delete_=True, type='OccupancyMemory')))
