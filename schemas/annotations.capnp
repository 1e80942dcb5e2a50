@0xc31a1d8b4cb0e4f7;
# What a schema says beyond Cap'n Proto's own words. schemas/compiler reads it and writes from it the owned C++ values,
# their codecs with every range and cap checked by the writer and by the reader, their JSON, and the table of caps in
# PROTOCOL.md. Every Text, Data and List has a cap: without `max` a Text has 1,024 bytes (4,096 with `message`), the
# others do not compile.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

# ---- ranges and caps ----

annotation max @0xe8d1b3f6a2c49571 (field) :UInt64;
# Text, Data: bytes. List: entries. Number: the greatest value.

annotation min @0x9b6c0f4d83e1a725 (field) :UInt64;
# The same from below. A Text or a List with it may not be absent.

annotation each @0xd4f7a5096b28c13e (field) :UInt64;
# Most bytes of one entry of a List(Text); without it 1,024.

annotation without @0xbe0539d7f1468a2c (field) :Text;
# None of these characters may stand in the Text.

annotation message @0xa17f62c8054ed39b (field) :Void;
# A Text for a person. What is not UTF-8 is replaced and what is too long is cut by whoever writes it; other Text is a
# name: the writer fails with what is wrong with it.

annotation check @0xf52de8014b97c36a (struct) :Void;
# Fields that depend on each other: common/wire/checks.cpp has a Check for the struct.

annotation frame @0x8c93a4e07d15fb62 (struct) :UInt64;
# Most bytes of a frame, or of a stored value, with this root.

# ---- the C++ value ----

annotation cxx @0xcf4a97b3e6d02815 (struct, enum, group, union) :Text;
# The name of its C++ type, where it is another.

annotation given @0x95e2d07c14bfa836 (enum) :Text;
# The C++ enum is written by hand, in this header. Its numbers are the same.

annotation variant @0xeb1870f5c29d463a (struct) :Text;
# This root is a union: in C++ a std::variant of this name.

annotation noun @0xa60c4de92b7f1583 (struct) :Text;
# What an error calls a frame of this root.

annotation arm @0xd9531be6f07842ca (field, group) :Text;
# A member of such a union that is no struct: the C++ struct that it becomes, "Name" or "Name.field".

annotation maybe @0x87f4c61ad3e0952b (union, group) :Void;
# A union of nothing and of one value: a std::optional.

annotation optional @0xb3e71f9a50d8c264 (field) :Void;
# Absence is told from the default: a std::optional.

annotation shared @0x9ad0c8e57b361f24 (field) :Void;
# A Shared<T> (common/base/shared.h), which is never null in a message.

annotation map @0xfc286b4de0975a13 (field) :Void;
# A list of structs of two Texts, sorted by the first, which stands there once: a std::map.

annotation id @0xc6b94f0de7a3521f (field) :Text;
# A number that is an identity: its type, of common/base/ids.h.

annotation time @0x84d6e10bf9c7a352 (field) :Void;
# Milliseconds since 1970 UTC: a WallTime; the "Ms" of the name is dropped.

annotation millis @0xa9c27f15d4e0b863 (field) :Void;
# A duration: std::chrono::milliseconds; the "Ms" of the name is dropped.

annotation hash @0xe3158ad90f7b64c2 (field) :Void;
# 32 bytes: a Hash; zero is absent.

annotation hashes @0x9f71d4c806eb5a23 (field) :Void;
# 32 bytes each without gaps: a vector of Hash; `max` counts them.

annotation exactly @0xd05c9e6ba4f81732 (field) :UInt64;
# Data of just so many bytes: a std::array.

annotation large @0xb8a40d7ce59f1263 (field) :Void;
# Data that is referred to, not copied, while a frame is built; one in a message.

annotation uuid @0xf91e36c0a8d5b742 (group) :Void;
annotation attempt @0x8e5d2f0947cba613 (group) :Void;
# Groups of two numbers that are a Uuid, an AttemptRef.

annotation initial @0xab6f80e3d12c5974 (field) :Text;
# What the C++ value begins with, where that is not what an absent field reads as.

# ---- JSON, of what people ask for ----

annotation json @0xdc7a5e18f4036b92 (struct) :Void;
# It has a ToJson.

annotation key @0x93b5f8e6d10c472a (field, group) :Text;
# The field's name in JSON, where it is not that of the schema in snake_case. "": left out. "*": its own fields stand
# in the JSON object of the struct.

annotation thousandths @0xe4c0a97d5b26f813 (field) :Void;
# Shown in JSON as a number of wholes.

annotation keyed @0xbf60d27c98e1a435 (field) :Void;
# A list of structs of two fields: in JSON one object, the first field its keys.
