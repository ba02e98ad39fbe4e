"""Captions that nobody wrote: a frozen captioner looks at the centre frame of every chunk of a video."""
