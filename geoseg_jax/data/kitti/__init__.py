"""KITTI: raw drives, odometry, flow and semantics."""
