"""The 40 and 13 classes of NYUv2.

Sources: the data set (Silberman, Hoiem, Kohli, Fergus, Indoor Segmentation and Support Inference
from RGBD Images, ECCV 2012) for the four categories; Gupta, Arbelaez, Malik, Perceptual
Organization and Recognition of Indoor Scenes from RGB-D Images, CVPR 2013, for the 40 classes
(classMapping40.mat, whose spelling is kept); Couprie, Farabet, Najman, LeCun, Indoor Semantic
Segmentation using Depth Information, ICLR 2013, for the 13 classes (class13Mapping.mat).
"""

# (name, category, class of the 13); label files hold the place in this list from 1 on, 0 = none.
CLASSES40 = (
    ("wall", "structure", 12),
    ("floor", "ground", 5),
    ("cabinet", "furniture", 6),
    ("bed", "furniture", 1),
    ("chair", "furniture", 4),
    ("sofa", "furniture", 9),
    ("table", "furniture", 10),
    ("door", "structure", 12),
    ("window", "structure", 13),
    ("bookshelf", "furniture", 6),
    ("picture", "props", 8),
    ("counter", "structure", 6),
    ("blinds", "structure", 13),
    ("desk", "furniture", 10),
    ("shelves", "furniture", 6),
    ("curtain", "structure", 13),
    ("dresser", "furniture", 6),
    ("pillow", "props", 7),
    ("mirror", "props", 7),
    ("floor mat", "props", 5),
    ("clothes", "props", 7),
    ("ceiling", "structure", 3),
    ("books", "props", 2),
    ("refridgerator", "furniture", 6),
    ("television", "props", 11),
    ("paper", "props", 7),
    ("towel", "props", 7),
    ("shower curtain", "structure", 7),
    ("box", "props", 7),
    ("whiteboard", "structure", 7),
    ("person", "props", 7),
    ("night stand", "furniture", 6),
    ("toilet", "furniture", 7),
    ("sink", "props", 7),
    ("lamp", "props", 7),
    ("bathtub", "furniture", 7),
    ("bag", "props", 7),
    ("otherstructure", "structure", 7),
    ("otherfurniture", "furniture", 6),
    ("otherprop", "props", 7),
)

# Label files of the 13 classes hold the place in this list from 1 on, 0 = none.
CLASSES13 = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)
