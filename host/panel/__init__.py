"""The instrument in a browser: a process of its own, so that nothing there can delay a note."""
