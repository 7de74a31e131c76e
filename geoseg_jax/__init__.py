"""Which pre-training gives segmentation the most? See README.md."""
