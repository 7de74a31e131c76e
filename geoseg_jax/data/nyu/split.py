"""The official split of NYUv2's 1449 labelled frames: 795 to train on and 654 to test on.

Source: splits.mat of the data set (trainNdxs, testNdxs; Silberman et al., ECCV 2012). No scene is
in both. Numbers count the frames of nyu_depth_v2_labeled.mat from 1 on.

And a split of whatever part is at hand, which depth and segmentation share: an encoder pre-trained
on the one has then not seen what the other is judged on.
"""

from collections.abc import Sequence

from geoseg_jax.data import name_splits

COUNT = 1449
# Frames of one scene follow each other: as many are held out together, so that few of them have a
# neighbour in the same room that is trained on.
BLOCK = 20
_TRAIN = """
3-8 10-13 19-20 22-27 44-45 48-55 58 64-75 80-83 92-116 120-124 130 135-136 138-152 156-166 170
177-179 203-206 213-219 223-249 251-263 265-270 274-278 286-295 303-309 313-314 318-324 336-350
353-354 365-383 391-394 398-410 415-429 436-440 449-461 467-468 478-507 514 527-530 534-536 540-548
552-554 572-578 584-590 595-602 608-611 614-616 622-632 639-643 646-649 652-655 659-662 665-667
674-675 682-685 691-692 695-696 700-705 714-716 719-723 729-730 735-742 745-758 788-799 805-809
815-820 824-832 847-849 853-856 863-868 872-905 909-916 920-925 929-931 936-944 948-958 963-964
968-969 978-990 996-1000 1005-1009 1013-1020 1024-1031 1035-1037 1040-1047 1050-1051 1054-1056
1059-1074 1085-1087 1097 1105 1110-1116 1120-1122 1132-1134 1137-1143 1159-1161 1168-1169 1172-1173
1177-1178 1185-1191 1197-1200 1213-1215 1221-1225 1231-1232 1236-1246 1251-1253 1266-1274 1281-1284
1296 1300-1301 1309-1313 1316-1328 1333-1334 1341-1346 1350-1352 1357-1363 1366-1367 1370-1383
1392-1393 1402-1406 1415-1420 1425-1429 1434-1440
"""


def train_numbers() -> list[int]:
    """Returns the 795 numbers to train on, ascending."""
    ends = [run.split("-") for run in _TRAIN.split()]
    return [number for run in ends for number in range(int(run[0]), int(run[-1]) + 1)]


def test_numbers() -> list[int]:
    """Returns the 654 numbers to test on, ascending."""
    train = set(train_numbers())
    return [number for number in range(1, COUNT + 1) if number not in train]


def held_out(names: Sequence[str], share: float) -> list[str]:
    """Holds out about `share` of the frames in blocks of BLOCK official numbers, spread evenly.

    Block b is held out where the whole part of b * share rises. Where that is none of the frames or
    all of them, as for a few or for names that are no numbers, the hash of a name decides.
    """

    def rises(name: str) -> bool:
        if not name.isdecimal():
            return False
        block = (int(name) - 1) // BLOCK
        return int((block + 1) * share) > int(block * share)

    found = [name for name in names if rises(name)]
    return found if 0 < len(found) < len(names) else name_splits.held_out(names, share)
