"""Labels as tools for annotation export them, brought into the layout of `labels/folder.py`.

recognise.py  which format a folder or file has, and the list of formats
coco.py, labelme.py, label_studio.py, voc.py, masks.py   one format, or one family, each
drawing.py, rle.py    polygons, circles and runs as pixels
untrusted.py, places.py, class_lists.py, mask_files.py   JSON, pictures, class names, masks
found.py      what each of them gives
write.py      images/, labels/, classes.txt, counts and overlays
"""
