"""Who is known: the people of every collection, and who a face belongs to."""

from app.gallery.gallery import Gallery
from app.gallery.pages import Page
from app.gallery.unchanged import UNCHANGED, Unchanged

__all__ = ["UNCHANGED", "Gallery", "Page", "Unchanged"]
