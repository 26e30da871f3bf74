"""One fake server a channel; each module offers `VARIANTS`: name -> a function that makes a fresh one."""
