"""The 59 classes of Pascal Context that are usually evaluated, of its 459.

Source: Mottaghi et al., The Role of Context for Object Detection and Semantic Segmentation in the
Wild, CVPR 2014; labels.txt and 59_labels.txt of the data set. Each with its number in label files,
which is its place in the list of all 459 by the alphabet; 0 is unlabelled.
"""

COUNT = 459
CLASSES = (
    ("aeroplane", 2), ("bicycle", 23), ("bird", 25), ("boat", 31), ("bottle", 34),
    ("bus", 45), ("car", 59), ("cat", 65), ("chair", 72), ("cow", 98), ("table", 397),
    ("dog", 113), ("horse", 207), ("motorbike", 258), ("person", 284), ("pottedplant", 308),
    ("sheep", 347), ("sofa", 368), ("train", 416), ("tvmonitor", 427), ("bag", 9),
    ("bed", 18), ("bench", 22), ("book", 33), ("building", 44), ("cabinet", 46),
    ("ceiling", 68), ("cloth", 80), ("computer", 85), ("cup", 104), ("door", 115),
    ("fence", 144), ("floor", 158), ("flower", 159), ("food", 162), ("grass", 187),
    ("ground", 189), ("keyboard", 220), ("light", 232), ("mountain", 259), ("mouse", 260),
    ("curtain", 105), ("platform", 296), ("sign", 355), ("plate", 295), ("road", 324),
    ("rock", 326), ("shelves", 349), ("sidewalk", 354), ("sky", 360), ("snow", 366),
    ("bedclothes", 19), ("track", 415), ("tree", 420), ("truck", 424), ("wall", 440),
    ("water", 445), ("window", 454), ("wood", 458),
)  # fmt: skip
