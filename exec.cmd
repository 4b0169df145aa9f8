@rem What cmd.exe runs for the "exec" of package.json's scripts. To other shells that is their own word: the program takes the shell's place, and so gets the signals that npm sends to it.
@%*
