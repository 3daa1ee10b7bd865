# The training videos of YouTube-VIS without 400, which are tested on; of 2019,
# and alike of 2021, whose file is train/instances.json:
#   python tools/dataset_converters/split_ytvis.py \
#       data/youtube_vis_2019/train.json --num-dev 400 --seed 0 \
#       --train data/youtube_vis_2019/train_split-400.json \
#       --dev data/youtube_vis_2019/dev_split-400.json
split_train = dict(dataset=dict(ann_file='train_split-400.json'))
split_dev = dict(
    dataset=dict(
        ann_file='dev_split-400.json',
        data_prefix=dict(img_path='train/JPEGImages')))
