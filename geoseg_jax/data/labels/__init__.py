"""Label pictures: classes, reading, checks, few labels; sets of folders."""
