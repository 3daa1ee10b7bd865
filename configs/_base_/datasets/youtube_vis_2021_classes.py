# To match the classes of COCO with those of YouTubeVIS2021 by name; 2022 has
# the same.
metainfo = dict(
    classes=('airplane', 'bear', 'bird', 'boat', 'car', 'cat', 'cow', 'deer',
             'dog', 'duck', 'earless_seal', 'elephant', 'fish', 'flying_disc',
             'fox', 'frog', 'giant_panda', 'giraffe', 'horse', 'leopard',
             'lizard', 'monkey', 'motorbike', 'mouse', 'parrot', 'person',
             'rabbit', 'shark', 'skateboard', 'snake', 'snowboard', 'squirrel',
             'surfboard', 'tennis_racket', 'tiger', 'train', 'truck', 'turtle',
             'whale', 'zebra'))
