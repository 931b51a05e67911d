def @csv:
  [.[] | if isnumber or isboolean then tojson elif isstring then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then ""
         else error("\(tojson) is no cell of csv") end] | join(",");
def @tsv:
  [.[] | if isnumber or isboolean then tojson elif isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
         elif . == null then "" else error("\(tojson) is no cell of tsv") end] | join("\t");
def toarray: if isarray then . else [.] end;
