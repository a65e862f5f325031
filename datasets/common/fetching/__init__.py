"""Files from elsewhere, and files that stay whole: downloads, archives, atomic writes, locks."""
