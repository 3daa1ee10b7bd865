# To match the classes of COCO with those of YouTubeVIS2019 by name.
metainfo = dict(
    classes=('person', 'giant_panda', 'lizard', 'parrot', 'skateboard',
             'sedan', 'ape', 'dog', 'snake', 'monkey', 'hand', 'rabbit',
             'duck', 'cat', 'cow', 'fish', 'train', 'horse', 'turtle', 'bear',
             'motorbike', 'giraffe', 'leopard', 'fox', 'deer', 'owl',
             'surfboard', 'airplane', 'truck', 'zebra', 'tiger', 'elephant',
             'snowboard', 'boat', 'shark', 'mouse', 'frog', 'eagle',
             'earless_seal', 'tennis_racket'))
