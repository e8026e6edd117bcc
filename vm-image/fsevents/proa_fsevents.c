// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Tells watchers in this machine what its host did to files that both share.
 *
 * A file system like virtiofs learns of the host's changes only when it looks, and inotify is told by whoever changes
 * something here. So the agent, which hears from the host, writes one event at a time to /dev/proa-fsevents:
 *
 *	MASK COOKIE PATH\0
 *
 * both numbers in hexadecimal. MASK has the bits of inotify(7), which are also those of linux/fsnotify_backend.h; COOKIE
 * ties the two halves of a move together. The path is the agent's. Nothing is changed: only watchers hear of it.
 *
 * Unlike the rest of the project this file is under the GPL version 2 or the MIT license, as the kernel asks of whoever
 * calls fsnotify().
 */
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/slab.h>

/* What is told of a name in a directory; the rest is told of the file itself. */
#define OF_NAMES (FS_CREATE | FS_DELETE | FS_MOVED_FROM | FS_MOVED_TO)
#define OF_FILES (FS_MODIFY | FS_ATTRIB | FS_CLOSE_WRITE)

/* Watchers of the directory hear the name; a file that went is told to its own watchers too, if anybody knows it here. */
static void tell_of_name(struct dentry *parent, const struct qstr *name, u32 mask, u32 cookie)
{
	struct dentry *child = d_lookup(parent, name);
	struct inode *inode = child ? d_inode(child) : NULL;

	/* It must be told of something that is there, for its super block. */
	fsnotify_name(mask, inode ? child : parent, FSNOTIFY_EVENT_DENTRY, d_inode(parent), name, cookie);
	if (inode && (mask & FS_DELETE)) {
		fsnotify_inode(inode, FS_DELETE_SELF | (mask & FS_ISDIR));
		d_invalidate(child);
	} else if (inode && (mask & FS_MOVED_FROM)) {
		fsnotify_inode(inode, FS_MOVE_SELF | (mask & FS_ISDIR));
		d_invalidate(child);
	}
	dput(child);
}

static int names(char *path, u32 mask, u32 cookie)
{
	char *slash = strrchr(path, '/');
	struct path parent;
	struct qstr name;
	int failed;

	if (!slash || slash == path || !slash[1])
		return -EINVAL;
	*slash = 0;
	failed = kern_path(path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &parent);
	if (failed)
		return failed;
	name = (struct qstr)QSTR_INIT(slash + 1, strlen(slash + 1));
	name.hash = full_name_hash(parent.dentry, name.name, name.len);
	tell_of_name(parent.dentry, &name, mask & (OF_NAMES | FS_ISDIR), cookie);
	path_put(&parent);
	return 0;
}

static int files(const char *text, u32 mask)
{
	struct path path;
	int failed = kern_path(text, 0, &path);

	if (failed)
		return failed;
	fsnotify_dentry(path.dentry, mask & (OF_FILES | FS_ISDIR));
	path_put(&path);
	return 0;
}

static int event(char *text)
{
	u32 mask, cookie;
	int path = 0;

	if (sscanf(text, "%x %x %n", &mask, &cookie, &path) < 2 || text[path] != '/')
		return -EINVAL;
	if (mask & OF_NAMES)
		return names(text + path, mask, cookie);
	if (mask & OF_FILES)
		return files(text + path, mask);
	return -EINVAL;
}

static ssize_t events_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char *text;
	int failed;

	if (size > PATH_MAX + 32)
		return -ENAMETOOLONG;
	text = memdup_user_nul(from, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	failed = event(text);
	kfree(text);
	return failed ? failed : size;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.write = events_write,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "proa-fsevents",
	.mode = 0600,
	.fops = &operations,
};
module_misc_device(device);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Tells inotify watchers what the machine's host did to shared files");
