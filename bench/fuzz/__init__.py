"""Bad input by the thousand: files, settings, folders and command lines that were damaged on purpose."""
