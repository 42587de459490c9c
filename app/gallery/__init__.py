"""Who is known: the people of every collection, and who a face belongs to."""

from app.gallery.gallery import UNCHANGED, Gallery, Unchanged
from app.gallery.pages import Page

__all__ = ["UNCHANGED", "Gallery", "Page", "Unchanged"]
