"""The 11 classes of CamVid as SegNet grouped its 32, with SegNet's order of ids and colours.

Sources: Brostow, Fauqueur, Cipolla, Semantic Object Classes in Video, 2009 (the data set);
Badrinarayanan, Kendall, Cipolla, SegNet, PAMI 2017, and the label pictures and colours of its
public tutorial (train/, trainannot/, ...).
"""

# By the id in label files, which is the train id.
CLASSES = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
VOID = 11
