@0xc31a1d8b4cb0e4f7;
# Defines what a schema says beyond Cap'n Proto's own words. From the annotations schemas/compiler writes the owned C++
# values, their codecs with every range and cap checked by the writer and by the reader, their JSON, and the table of
# caps in PROTOCOL.md. Every Text, Data and List has a cap: without `max` a Text has 1,024 bytes (4,096 with `message`),
# and a Data or List does not compile.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

# ---- ranges and caps ----

annotation max @0xe8d1b3f6a2c49571 (field) :UInt64;
# Text, Data: bytes. List: entries. Number: the greatest value.

annotation min @0x9b6c0f4d83e1a725 (field) :UInt64;
# The lower bound, in the units of `max`. A Text or a List with `min` may not be absent.

annotation each @0xd4f7a5096b28c13e (field) :UInt64;
# Most bytes of one entry of a List(Text). Absent: 1,024.

annotation without @0xbe0539d7f1468a2c (field) :Text;
# The Text may contain none of these characters.

annotation message @0xa17f62c8054ed39b (field) :Void;
# The Text is for a person. Its writer replaces bytes that are not UTF-8 and cuts a text that is too long; any other
# Text is a name: its writer fails and says what is wrong with the name.

annotation check @0xf52de8014b97c36a (struct) :Void;
# The struct's fields depend on each other: common/wire/checks.cpp has a Check for the struct.

annotation frame @0x8c93a4e07d15fb62 (struct) :UInt64;
# Most bytes of a frame, or of a stored value, with this root.

# ---- the C++ value ----

annotation cxx @0xcf4a97b3e6d02815 (struct, enum, group, union) :Text;
# Name of the C++ type, if it differs from the schema's.

annotation given @0x95e2d07c14bfa836 (enum) :Text;
# The C++ enum is written by hand, in this header. Its numbers are the same.

annotation variant @0xeb1870f5c29d463a (struct) :Text;
# The root is a union: in C++ it is a std::variant of this name.

annotation noun @0xa60c4de92b7f1583 (struct) :Text;
# Errors call a frame of this root by this name.

annotation arm @0xd9531be6f07842ca (field, group) :Text;
# The member of such a union is no struct: in C++ it becomes this struct, "Name" or "Name.field".

annotation maybe @0x87f4c61ad3e0952b (union, group) :Void;
# The union is nothing or one value: in C++ it is a std::optional.

annotation optional @0xb3e71f9a50d8c264 (field) :Void;
# Absence differs from the default: in C++ the field is a std::optional.

annotation shared @0x9ad0c8e57b361f24 (field) :Void;
# In C++ the field is a Shared<T> (common/base/shared.h), which is never null in a message.

annotation map @0xfc286b4de0975a13 (field) :Void;
# The list has structs of two Texts, sorted by the first, which is there once: in C++ it is a std::map.

annotation id @0xc6b94f0de7a3521f (field) :Text;
# The number is an identity of this type of common/base/ids.h.

annotation time @0x84d6e10bf9c7a352 (field) :Void;
# The number is milliseconds since 1970 UTC: in C++ it is a WallTime; the "Ms" of the name is dropped.

annotation millis @0xa9c27f15d4e0b863 (field) :Void;
# The number is a duration: in C++ it is std::chrono::milliseconds; the "Ms" of the name is dropped.

annotation hash @0xe3158ad90f7b64c2 (field) :Void;
# The Data has 32 bytes: in C++ it is a Hash; zero is absent.

annotation hashes @0x9f71d4c806eb5a23 (field) :Void;
# The Data has 32 bytes for each hash, without gaps: in C++ it is a vector of Hash; `max` counts hashes.

annotation exactly @0xd05c9e6ba4f81732 (field) :UInt64;
# The Data has exactly so many bytes: in C++ it is a std::array.

annotation large @0xb8a40d7ce59f1263 (field) :Void;
# While a frame is built, it refers to this Data and does not copy the bytes; a message has one such field at most.

annotation uuid @0xf91e36c0a8d5b742 (group) :Void;
annotation attempt @0x8e5d2f0947cba613 (group) :Void;
# The groups of two numbers are in C++ a Uuid and an AttemptRef.

annotation initial @0xab6f80e3d12c5974 (field) :Text;
# The C++ value begins with this value, if an absent field reads as another.

# ---- JSON, of what people ask for ----

annotation json @0xdc7a5e18f4036b92 (struct, group) :Void;
# The struct or group has a ToJson.

annotation key @0x93b5f8e6d10c472a (field, group) :Text;
# The field's name in JSON, if it is not the schema's name in snake_case. "": JSON leaves the field out. "*": the
# field's own fields stand in the JSON object of the struct.

annotation thousandths @0xe4c0a97d5b26f813 (field) :Void;
# JSON shows the thousandths as a number of wholes.

annotation keyed @0xbf60d27c98e1a435 (field) :Void;
# The list has structs of two fields: JSON shows one object, whose keys are the first fields.
