# SPDX-License-Identifier: BSD-3-Clause
# page.html with the files in place of its marks: @STYLE@ and @SCRIPT@ alone on their lines. (The build then makes C text of it; the program's
# name and the data come at run time: @TITLE@, @DATA@.) -v folder=... holds the files, whose names are in -v styles= and -v scripts=.
function files(names, list, count, i, line, path, rc) {
	count = split(names, list, " ")
	for (i = 1; i <= count; i++) {
		path = folder "/" list[i]
		while ((rc = (getline line < path)) > 0)
			print line
		if (rc < 0) {
			print "embed.awk: " path ": cannot be read" > "/dev/stderr"
			exit 1
		}
		close(path)
	}
}
$0 == "@STYLE@" { files(styles); next }
$0 == "@SCRIPT@" { files(scripts); next }
{ print }
