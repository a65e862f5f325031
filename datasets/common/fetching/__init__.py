"""How files come to this machine and stay whole: downloads, archives, disk, locks."""
