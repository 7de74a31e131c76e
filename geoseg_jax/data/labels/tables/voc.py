"""The 20 classes of PASCAL VOC, with the background before them.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, and the
development kit of VOC 2012. The place is the id in label files, 255 the border of objects. Their
colours are `table.voc_colours`.
"""

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
VOID_COLOUR = (224, 224, 192)
