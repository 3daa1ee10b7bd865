# What training on COCO alone is tested on: training videos, all of whose
# objects are of classes that COCO has, too.
#   python tools/dataset_converters/subset_ytvis.py \
#       data/youtube_vis_2021/train/instances.json \
#       data/youtube_vis_2021/train/coco-classes.json \
#       --class-map ytvis2021 --num-videos 421
#   python tools/dataset_converters/subset_ytvis.py \
#       data/ovis/annotations_train.json data/ovis/train_coco-classes.json \
#       --class-map ovis --num-videos 140
coco_classes_youtubevis2021 = dict(
    dataset=dict(
        ann_file='train/coco-classes.json',
        data_prefix=dict(img_path='train/JPEGImages')))
coco_classes_ovis = dict(
    dataset=dict(
        ann_file='train_coco-classes.json',
        data_prefix=dict(img_path='train')))
