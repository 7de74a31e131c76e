"""The labels of Cityscapes, which KITTI semantics shares.

Source of ids, train ids, categories and colours: the label definitions of the data set's own
`cityscapesscripts` (helpers/labels.py; Cordts et al., The Cityscapes Dataset for Semantic Urban
Scene Understanding, CVPR 2016). A test compares them. There the licence plate has the train id -1,
which means ignored as 255 does.
"""

# (id in label files, name, train id or 255, category, RGB)
ROWS = (
    (-1, "license plate", 255, "vehicle", (0, 0, 142)),
    (0, "unlabeled", 255, "void", (0, 0, 0)),
    (1, "ego vehicle", 255, "void", (0, 0, 0)),
    (2, "rectification border", 255, "void", (0, 0, 0)),
    (3, "out of roi", 255, "void", (0, 0, 0)),
    (4, "static", 255, "void", (0, 0, 0)),
    (5, "dynamic", 255, "void", (111, 74, 0)),
    (6, "ground", 255, "void", (81, 0, 81)),
    (7, "road", 0, "flat", (128, 64, 128)),
    (8, "sidewalk", 1, "flat", (244, 35, 232)),
    (9, "parking", 255, "flat", (250, 170, 160)),
    (10, "rail track", 255, "flat", (230, 150, 140)),
    (11, "building", 2, "construction", (70, 70, 70)),
    (12, "wall", 3, "construction", (102, 102, 156)),
    (13, "fence", 4, "construction", (190, 153, 153)),
    (14, "guard rail", 255, "construction", (180, 165, 180)),
    (15, "bridge", 255, "construction", (150, 100, 100)),
    (16, "tunnel", 255, "construction", (150, 120, 90)),
    (17, "pole", 5, "object", (153, 153, 153)),
    (18, "polegroup", 255, "object", (153, 153, 153)),
    (19, "traffic light", 6, "object", (250, 170, 30)),
    (20, "traffic sign", 7, "object", (220, 220, 0)),
    (21, "vegetation", 8, "nature", (107, 142, 35)),
    (22, "terrain", 9, "nature", (152, 251, 152)),
    (23, "sky", 10, "sky", (70, 130, 180)),
    (24, "person", 11, "human", (220, 20, 60)),
    (25, "rider", 12, "human", (255, 0, 0)),
    (26, "car", 13, "vehicle", (0, 0, 142)),
    (27, "truck", 14, "vehicle", (0, 0, 70)),
    (28, "bus", 15, "vehicle", (0, 60, 100)),
    (29, "caravan", 255, "vehicle", (0, 0, 90)),
    (30, "trailer", 255, "vehicle", (0, 0, 110)),
    (31, "train", 16, "vehicle", (0, 80, 100)),
    (32, "motorcycle", 17, "vehicle", (0, 0, 230)),
    (33, "bicycle", 18, "vehicle", (119, 11, 32)),
)

# Lao et al., On the Viability of Monocular Depth Pre-training for Semantic Segmentation, ECCV 2024,
# in its public code for KITTI: 34 outputs, one for each id from 0 on; these ids (and -1) count as
# unlabelled, and the reported mean is over those of PAPER. Bicycles (33) are not among them: the
# list of ids to leave out begins with -1, and it indexes an array, whose last entry that is.
PAPER_UNLABELLED = (-1, 0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
PAPER = (7, 8, 11, 21, 22, 23, 26)
