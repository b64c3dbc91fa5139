use super::*;
use crate::kernel::tests::image;

#[test]
fn volatility_gets_each_type_once_and_the_banner_as_data() {
    let kernel = Kernel::read(image()).expect("a kernel");
    let mut text = Vec::new();
    isf(&kernel, "1.0", &mut text).expect("written");
    let isf: Value = serde_json::from_slice(&text).expect("JSON");
    let keys: Vec<_> = isf.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["base_types", "enums", "metadata", "symbols", "user_types"]);
    assert_eq!(isf["metadata"]["format"], FORMAT);
    assert_eq!(isf["base_types"]["pointer"]["size"], 8);
    let task = &isf["user_types"]["task_struct"];
    assert_eq!((&task["kind"], &task["size"]), (&json!("struct"), &json!(64)));
    assert_eq!(task["fields"]["tgid"], json!({ "type": { "kind": "base", "name": "int" }, "offset": 8 }));
    assert_eq!(isf["symbols"]["init_task"]["type"], json!({ "kind": "struct", "name": "task_struct" }));
    let banner = isf["symbols"]["linux_banner"]["constant_data"].as_str().expect("data");
    let banner = STANDARD.decode(banner).expect("base64");
    assert_eq!(banner, format!("{}\n\0", kernel.banner()).as_bytes());
}
